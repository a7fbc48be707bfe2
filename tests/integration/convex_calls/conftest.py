"""A deployment with functions of the application's own, and an app that calls them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from api.http import problem
from api.http.json import OrjsonProvider
from config.settings import load_settings
from database import flask_scope
from database.backends.convex import ConvexAdapter
from database.connection_manager import ConnectionManager
from tests.integration.convex_calls.support import TIMEOUT
from tests.integration.convex_calls.support import Shop
from tests.integration.convex_calls.support import lay_out
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.network.proxy import FaultProxy
from tests.servers.tokens import TokenSigner


@dataclass(frozen=True, slots=True)
class Site:
    """An app whose requests are Ada's, behind a proxy.

    :ivar results: what its views have left there.
    """

    app: Flask
    adapter: ConvexAdapter
    proxy: FaultProxy
    results: list[Any]

    def post(self, path: str, **headers: str) -> tuple[int, Any]:
        """The status and the JSON of an answer."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = self.app.test_client().post(path, headers=named)
        return answer.status_code, answer.json


@pytest.fixture(scope="package")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is deployed."""
    return lay_out(tmp_path_factory.mktemp("convex"))


@pytest.fixture(scope="package")
def _deployment(laid_out: Path, token_signer: TokenSigner) -> Iterator[ConvexDeployment]:
    with available(ConvexDeployment, laid_out, provider=token_signer.provider) as deployment:
        yield deployment


@pytest.fixture
def shop(_deployment: ConvexDeployment, token_signer: TokenSigner) -> Iterator[Shop]:
    """The deployment with empty tables."""
    _deployment.reset()
    shop = Shop(_deployment, token_signer)
    yield shop
    shop.direct.disconnect()


@pytest.fixture
def adapter(shop: Shop) -> Iterator[ConvexAdapter]:
    """An adapter that has yet to learn which functions there are."""
    made = shop.adapter()
    yield made
    made.disconnect()


@pytest.fixture
def site(shop: Shop, proxy: Callable[[int], FaultProxy]) -> Iterator[Site]:
    with ExitStack() as stack:
        between = proxy(shop.deployment.port)
        adapter = shop.adapter(between.port, retry_count=2)
        stack.callback(adapter.disconnect)
        manager = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
        app = Flask(__name__)
        app.json = OrjsonProvider(app)
        app.config["REQUEST_TIMEOUT"] = TIMEOUT
        flask_scope.init_app(app, manager, caller=shop.user("ada"))
        problem.init_app(app)
        yield Site(app, adapter, between, [])
