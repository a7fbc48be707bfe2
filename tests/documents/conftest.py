"""Where the documents' code runs: an empty deployment, an empty folder, and no settings from outside."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from api.flask_convex import FlaskConvexIntegration
from config.settings import settings_table
from database.adapters.base import DatabaseAdapter
from database.adapters.convex import ConvexAdapter
from database.connection_manager import ConnectionManager
from tests.documents.blocks import Block
from tests.servers.convex_deployment import ConvexDeployment

Run = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No settings from outside, and a folder for what is left behind."""
    for row in settings_table().splitlines()[2:]:
        monkeypatch.delenv(row.split("`")[1], raising=False)
    monkeypatch.chdir(tmp_path)
    yield
    ConnectionManager.set_instance(None)


@pytest.fixture
def deployment(convex_deployment: ConvexDeployment) -> Iterator[ConvexDeployment]:
    """A deployment with empty tables."""
    convex_deployment.reset()
    yield convex_deployment
    convex_deployment.reset()


@pytest.fixture
def convex_environment(monkeypatch: pytest.MonkeyPatch, deployment: ConvexDeployment) -> None:
    """The deployment, as the environment names it."""
    monkeypatch.setenv("CONVEX_URL", deployment.url)
    monkeypatch.setenv("CONVEX_DEPLOYMENT_KEY", deployment.deploy_key)


@pytest.fixture
def store(deployment: ConvexDeployment) -> Iterator[ConvexAdapter]:
    """The deployment, to see what was done in it."""
    adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})
    yield adapter
    adapter.disconnect()


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
