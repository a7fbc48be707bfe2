"""The backends as data: what each is made of, and what it is expected to be capable of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from database.adapters.base import DatabaseAdapter
from database.adapters.memory import MemoryAdapter
from database.adapters.postgres import PostgresAdapter
from database.adapters.postgres import SupabaseDirectAdapter
from database.adapters.sqlite import SQLiteAdapter
from database.core.capabilities import Capabilities
from database.core.operations import Delete
from database.core.query import Where
from tests.contract.tables import SCHEMA
from tests.contract.tables import create_tables
from tests.contract.tables import metadata
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

SUPABASE_ROLES = Path(__file__).parents[1] / "servers" / "supabase_roles.sql"

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class BackendCase:
    """One kind of backend.

    :ivar prepare: makes a database with the tests' tables and returns the adapter's configuration.
    """

    name: str
    adapter: type[DatabaseAdapter]
    capabilities: Capabilities
    prepare: Callable[[pytest.FixtureRequest], Config]


@dataclass(frozen=True, slots=True)
class Backend:
    """A kind of backend with its database.

    :ivar adapter: shared by all tests, so they must leave it connected.
    """

    case: BackendCase
    config: Config
    adapter: DatabaseAdapter

    def another(self, **config: Any) -> DatabaseAdapter:
        """An adapter of the test's own; memory is empty, the others see the same database."""
        return self.case.adapter({**self.config, **config}, SCHEMA)

    def clear(self) -> None:
        """Delete all rows."""
        for table in reversed(metadata.sorted_tables):
            self.adapter.run(Delete(table.name, where=Where("id", "is_null", False)))


def sqlalchemy_url(database: PostgresDatabase) -> str:
    """The database for SQLAlchemy with psycopg."""
    return database.url.replace("postgresql://", "postgresql+psycopg://")


def supabase_database(server: PostgresServer) -> PostgresDatabase:
    """A new database with the roles of a Supabase project."""
    database = server.create_database()
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(SUPABASE_ROLES.read_text())
    return database


def _memory(_: pytest.FixtureRequest) -> Config:
    return {}


def _sqlite(request: pytest.FixtureRequest) -> Config:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("contract")
    path = folder / "contract.db"
    create_tables(f"sqlite:///{path}")
    return {"path": str(path), "synchronous": "normal"}


def _postgresql(request: pytest.FixtureRequest) -> Config:
    database = request.getfixturevalue("postgres_server").create_database()
    create_tables(sqlalchemy_url(database))
    return asdict(database)


def _supabase_direct(request: pytest.FixtureRequest) -> Config:
    database = supabase_database(request.getfixturevalue("postgres_server"))
    create_tables(sqlalchemy_url(database))
    return asdict(database)


BACKENDS = (
    BackendCase("memory", MemoryAdapter, Capabilities(sql=False, durable=False), _memory),
    BackendCase("sqlite", SQLiteAdapter, Capabilities(), _sqlite),
    BackendCase("postgresql", PostgresAdapter, Capabilities(), _postgresql),
    BackendCase("supabase_direct", SupabaseDirectAdapter, Capabilities(row_security=True), _supabase_direct),
)
