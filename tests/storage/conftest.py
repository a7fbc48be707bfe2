"""Servers that all tests of stores share; each test has a store of its own there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.servers.available import available
from tests.servers.cosmos.account import CosmosAccount


@pytest.fixture(scope="session")
def cosmos_account() -> Iterator[CosmosAccount]:
    with available(CosmosAccount) as account:
        yield account
