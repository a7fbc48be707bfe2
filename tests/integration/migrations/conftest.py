"""Empty databases to migrate: a file, a server without Supabase's roles, and one with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from tests.contract.backends import supabase_database
from tests.servers.available import available
from tests.servers.postgres import PostgresServer


@pytest.fixture(scope="package")
def bare_server() -> Iterator[PostgresServer]:
    """A server of these tests' own: roles belong to a whole server, and the shared one may have them."""
    with available(PostgresServer) as server:
        yield server


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SQLiteAdapter]:
    adapter = SQLiteAdapter({"path": str(tmp_path / "new folder" / "isthmus 100%.db")})
    yield adapter
    adapter.disconnect()


@pytest.fixture
def postgres(bare_server: PostgresServer) -> Iterator[PostgresAdapter]:
    with bare_server.database() as database:
        adapter = PostgresAdapter(asdict(database))
        yield adapter
        adapter.disconnect()


@pytest.fixture
def supabase(postgres_server: PostgresServer) -> Iterator[SupabaseDirectAdapter]:
    database = supabase_database(postgres_server)
    adapter = SupabaseDirectAdapter(asdict(database))
    yield adapter
    adapter.disconnect()
    postgres_server.drop_database(database)


@pytest.fixture
def owner(supabase: SupabaseDirectAdapter) -> Iterator[PostgresAdapter]:
    """The same database as ``supabase``, as the user that owns it."""
    adapter = PostgresAdapter(supabase.config, name="owner")
    yield adapter
    adapter.disconnect()


@pytest.fixture(params=["sqlite", "postgres", "supabase"])
def adapter(request: pytest.FixtureRequest) -> DatabaseAdapter:
    """Each of the above."""
    adapter: DatabaseAdapter = request.getfixturevalue(request.param)
    return adapter
