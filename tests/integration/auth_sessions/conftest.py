"""The application's tables on every kind of database, and sessions in them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

import pytest
import sqlalchemy as sa

from auth.sessions.sessions import Sessions
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.internal_tables import metadata
from database.schema.migrations.supabase import functions
from tests.clocks import WallClock
from tests.contract.backends import supabase_database
from tests.integration.auth_sessions.support import TIMEOUT
from tests.integration.auth_sessions.support import Store
from tests.integration.auth_sessions.support import empty
from tests.integration.auth_sessions.support import make_sessions
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi


@pytest.fixture(params=["memory", "sqlite", "postgresql", "convex", "supabase_http"])
def store(request: pytest.FixtureRequest) -> Store:
    """A fresh database of each kind."""
    made: Store = request.getfixturevalue(f"{request.param}_store")
    return made


@pytest.fixture
def memory_store() -> Store:
    adapter = MemoryAdapter()
    return Store(lambda: adapter)


@pytest.fixture
def sqlite_store(tmp_path: Path) -> Store:
    path = tmp_path / "sessions.db"
    engine = sa.create_engine(f"sqlite:///{path}", poolclass=sa.NullPool)
    metadata.create_all(engine)
    engine.dispose()
    return Store(lambda: SQLiteAdapter({"path": str(path), "synchronous": "normal", "timeout": TIMEOUT}))


@pytest.fixture(scope="package")
def _database(postgres_server: PostgresServer) -> Iterator[PostgresDatabase]:
    with postgres_server.database() as database:
        database.create(metadata)
        yield database


@pytest.fixture
def postgresql_store(_database: PostgresDatabase) -> Store:
    empty(_database)
    return Store(lambda: PostgresAdapter({**asdict(_database), "timeout": TIMEOUT}))


@pytest.fixture
def convex_store(convex_deployment: ConvexDeployment) -> Store:
    convex_deployment.reset()
    config = {"url": convex_deployment.url, "key": convex_deployment.deploy_key, "timeout": TIMEOUT}
    return Store(lambda: ConvexAdapter(config))


@pytest.fixture(scope="package")
def _project(postgres_server: PostgresServer) -> Iterator[SupabaseApi]:
    database = supabase_database(postgres_server)
    database.create(metadata)
    database.execute(functions.script())
    with available(SupabaseApi, database) as project:
        yield project
    postgres_server.drop_database(database)


@pytest.fixture
def supabase_http_store(_project: SupabaseApi) -> Store:
    empty(_project.database)
    config = {"url": _project.url, "key": _project.service_key, "timeout": TIMEOUT}
    return Store(lambda: SupabaseAdapter(config))


@pytest.fixture
def adapter(store: Store) -> Iterator[DatabaseAdapter]:
    with ExitStack() as stack:
        made = store.connect()
        stack.callback(made.disconnect)
        yield made


@pytest.fixture
def clock() -> WallClock:
    return WallClock()


@pytest.fixture
def sessions(adapter: DatabaseAdapter, clock: WallClock) -> Sessions:
    return make_sessions(adapter, clock)
