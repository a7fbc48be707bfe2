"""What several of the folders below need."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.servers.network.proxy import FaultProxy
from tests.servers.postgres import PostgresDatabase
from tests.servers.supabase_api import add_roles


@pytest.fixture
def between(postgres_database: PostgresDatabase, proxy: Callable[[int], FaultProxy]) -> FaultProxy:
    """The way to a Supabase project's database."""
    add_roles(postgres_database)
    return proxy(postgres_database.port)
