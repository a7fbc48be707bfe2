"""Where the documents' code runs: an empty deployment, an empty folder, and no settings from outside."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from api.flask_convex import FlaskConvexIntegration
from database.adapter.base import DatabaseAdapter
from database.connection_manager import ConnectionManager
from tests.documents.blocks import Block
from tests.servers.convex_deployment import ConvexDeployment

Run = Callable[..., dict[str, Any]]


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
