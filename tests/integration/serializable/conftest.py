"""The application's databases at their defaults, each behind an app that is reached over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import urllib3
from flask import Flask
from werkzeug.serving import WSGIRequestHandler
from werkzeug.serving import make_server

from database.connection_manager import ConnectionManager
from database.core.context import as_application
from tests.contract.backends import BACKENDS
from tests.contract.backends import TIMEOUT
from tests.contract.backends import Backend
from tests.integration.transactions.ledger import make_api
from tests.integration.transactions.ledger import managing

CLIENTS = 8

Ask = Callable[..., urllib3.BaseHTTPResponse]
"""Sends a request: method, path, and what the client takes besides."""


@pytest.fixture(scope="package", params=BACKENDS, ids=lambda case: case.name)
def _backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    case = request.param
    if isinstance(case, str):
        (case,) = (one for one in BACKENDS if one.name == case)
    backend = Backend.prepared(case, request)
    yield backend
    backend.adapter.disconnect()


@pytest.fixture
def backend(_backend: Backend) -> Iterator[Backend]:
    """A backend without any rows; what the test does with it is the application's own."""
    with as_application():
        _backend.clear()
        yield _backend


@pytest.fixture
def manager(backend: Backend) -> ConnectionManager:
    return managing(backend.adapter)


@pytest.fixture
def app(manager: ConnectionManager) -> Flask:
    return make_api(manager, REQUEST_TIMEOUT=TIMEOUT)


@pytest.fixture
def ask(app: Flask) -> Iterator[Ask]:
    """Asks the app on a real server, from any thread."""
    with serving(app) as asking:
        yield asking


@contextmanager
def serving(app: Flask) -> Iterator[Ask]:
    """The app on a real server while the block runs."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    clients = urllib3.PoolManager(maxsize=CLIENTS + 2, retries=False)
    try:
        yield lambda method, path, **known: clients.request(method, f"http://127.0.0.1:{server.port}{path}", **known)
    finally:
        clients.clear()
        server.shutdown()
        thread.join()
        server.server_close()


class _Silent(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002
        """Nothing."""
