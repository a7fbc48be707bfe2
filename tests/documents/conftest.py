"""Where the documents' code runs: an empty deployment, an empty folder, and no settings from outside."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from typing import NamedTuple

import pytest
from werkzeug.serving import make_server

from api.flask_convex import FlaskConvexIntegration
from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from database.core.lifecycle import in_background
from tests.documents.blocks import Block
from tests.integration.http.support import CHEAP
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.servers.convex_deployment import ConvexDeployment
from tests.stores.experiments.laboratory import PACKAGE

Run = Callable[..., dict[str, Any]]


class Served(NamedTuple):
    """An application with an address.

    :ivar token: of somebody who is signed in.
    """

    site: Site
    url: str
    token: str


@pytest.fixture(autouse=True)
def _own_environment(own_environment: None) -> None:
    """For every test."""


@pytest.fixture
def convex_environment(monkeypatch: pytest.MonkeyPatch, empty_deployment: ConvexDeployment) -> None:
    """The deployment, as the environment names it."""
    monkeypatch.setenv("CONVEX_URL", empty_deployment.url)
    monkeypatch.setenv("CONVEX_DEPLOYMENT_KEY", empty_deployment.deploy_key)


@pytest.fixture
def run() -> Iterator[Run]:
    """Run a block with some names defined; the connections it leaves open are closed after the test."""
    with ExitStack() as connections:

        def run_block(block: Block, **names: Any) -> dict[str, Any]:
            variables = block.run(**names)
            for value in variables.values():
                if isinstance(value, FlaskConvexIntegration):
                    connections.callback(value.get_convex_adapter().disconnect)
                elif isinstance(value, DatabaseAdapter | ConnectionManager):
                    connections.callback(value.disconnect)
            return variables

        yield run_block


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Served]:
    """The application, served, and somebody who is signed in there."""
    site = make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE).hash_with(CHEAP)
    server = make_server("127.0.0.1", 0, site.app, threaded=True)
    thread = in_background("service", server.serve_forever)
    token = site.register()["Authorization"].removeprefix("Bearer ")
    yield Served(site, f"http://127.0.0.1:{server.server_port}", token)
    server.shutdown()
    thread.join()
    server.server_close()
    site.close()
