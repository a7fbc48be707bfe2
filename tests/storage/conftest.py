"""Servers that all tests of stores share; each test has a store of its own there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.available import available
from tests.servers.cosmos.account import CosmosAccount
from tests.servers.qdrant.server import QdrantServer


@pytest.fixture(scope="session")
def cosmos_account() -> Iterator[CosmosAccount]:
    with available(CosmosAccount) as account:
        yield account


@pytest.fixture(scope="session")
def qdrant_server() -> Iterator[QdrantServer]:
    with available(QdrantServer) as server:
        yield server
