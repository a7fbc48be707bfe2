"""The backends as data: how each is created, and its expected capabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from database.backends.supabase import SupabaseAdapter
from database.core.capabilities import Capabilities
from database.core.operations import Delete
from database.core.query.filters import Where
from database.schema.migrations import row_security
from database.schema.migrations.supabase import functions
from tests.contract.foreign import ConvexProgram
from tests.contract.foreign import ForeignProgram
from tests.contract.foreign import PostgresProgram
from tests.contract.foreign import SqliteProgram
from tests.contract.tables import SCHEMA
from tests.contract.tables import create_tables
from tests.contract.tables import diaries
from tests.contract.tables import grades
from tests.contract.tables import invoices
from tests.contract.tables import metadata
from tests.contract.tables import prices
from tests.contract.tables import seats
from tests.contract.tables import tickets
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.servers.supabase_api import SupabaseApi
from tests.servers.supabase_api import add_roles

TIMEOUT = 20  # seconds; only a broken backend needs them

EMPTYING = "; ".join(f"delete from {table.name}" for table in reversed(metadata.sorted_tables))

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A database with the tests' tables.

    :ivar config: the adapter's configuration.
    :ivar reset: a quicker way to delete all rows than the adapter's.
    :ivar foreign: another program that writes to the database; None where there can be none.
    """

    config: Config
    reset: Callable[[], object] | None = None
    foreign: ForeignProgram | None = None


@dataclass(frozen=True, slots=True)
class BackendCase:
    """One kind of backend.

    :ivar prepare: makes a database with the tests' tables.
    """

    name: str
    adapter: type[DatabaseAdapter]
    capabilities: Capabilities
    prepare: Callable[[pytest.FixtureRequest], Prepared]


@dataclass(frozen=True, slots=True)
class Backend:
    """A kind of backend with its database.

    :ivar adapter: shared by all tests, so they must leave it connected.
    """

    case: BackendCase
    config: Config
    adapter: DatabaseAdapter
    reset: Callable[[], object] | None
    foreign: ForeignProgram | None

    @classmethod
    def prepared(cls, case: BackendCase, request: pytest.FixtureRequest) -> Backend:
        """A backend of this kind with a new database; its adapter is for the caller to disconnect."""
        prepared = case.prepare(request)
        config = {"timeout": TIMEOUT, "circuit_breaker_threshold": 0, **prepared.config}
        return cls(case, config, case.adapter(config, SCHEMA), prepared.reset, prepared.foreign)

    def another(self, **config: Any) -> DatabaseAdapter:
        """An adapter of the test's own; memory is empty, the others see the same database."""
        return self.case.adapter({**self.config, **config}, SCHEMA)

    def clear(self) -> None:
        """Delete all rows."""
        if self.reset is not None:
            self.reset()
            return
        for table in reversed(metadata.sorted_tables):
            self.adapter.run(Delete(table.name, where=Where(table.primary_key.columns.keys()[0], "is_null", False)))


def supabase_database(server: PostgresServer) -> PostgresDatabase:
    """A new database with the roles of a Supabase project."""
    database = server.create_database()
    add_roles(database)
    return database


def protect(database: PostgresDatabase) -> None:
    """Give the tables that are not for everybody the policies that a migration gives them."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        for table in (diaries, grades, invoices, prices, seats, tickets):
            for statement in row_security.table_statements(table):
                connection.execute(statement.encode())


def _memory(_: pytest.FixtureRequest) -> Prepared:
    return Prepared({})


def _sqlite(request: pytest.FixtureRequest) -> Prepared:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("contract")
    path = folder / "contract.db"
    create_tables(f"sqlite:///{path}")
    file = apsw.Connection(str(path))
    file.set_busy_timeout(TIMEOUT * 1000)
    request.addfinalizer(file.close)
    config = {"path": str(path), "synchronous": "normal"}
    return Prepared(config, lambda: file.execute(f"begin immediate; {EMPTYING}; commit"), SqliteProgram(file))


def _postgresql(request: pytest.FixtureRequest) -> Prepared:
    database = request.getfixturevalue("postgres_server").create_database()
    create_tables(database.sqlalchemy_url)
    return _by_text(request, database, asdict(database))


def _supabase_direct(request: pytest.FixtureRequest) -> Prepared:
    database = supabase_database(request.getfixturevalue("postgres_server"))
    create_tables(database.sqlalchemy_url)
    protect(database)
    return _by_text(request, database, asdict(database))


def _by_text(request: pytest.FixtureRequest, database: PostgresDatabase, config: Config) -> Prepared:
    """A database on PostgreSQL that is emptied by SQL."""
    connection = psycopg.connect(database.dsn, autocommit=True)
    request.addfinalizer(connection.close)
    return Prepared(config, lambda: connection.execute(EMPTYING.encode()), PostgresProgram(connection))


def _convex(request: pytest.FixtureRequest) -> Prepared:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("contract")
    deployment = available(ConvexDeployment, functions_with(SCHEMA, folder))
    deployment.__enter__()
    request.addfinalizer(deployment.close)
    config = {"url": deployment.url, "key": deployment.deploy_key}
    program = ConvexProgram(deployment.url, deployment.deploy_key)
    request.addfinalizer(program.close)
    return Prepared(config, deployment.reset, program)


def _supabase_http(request: pytest.FixtureRequest) -> Prepared:
    database = supabase_database(request.getfixturevalue("postgres_server"))
    create_tables(database.sqlalchemy_url)
    protect(database)
    database.execute(functions.script())
    project = available(SupabaseApi, database)
    project.__enter__()
    request.addfinalizer(project.close)
    config = {"url": project.url, "key": project.service_key, "anon_key": project.anon_key}
    return _by_text(request, database, config)


_BUFFERED = Capabilities(
    sql="translated", calls=True, immediate_constraints=False, changes=True, json_number_types=False, locks=False
)

BACKENDS = (
    BackendCase("memory", MemoryAdapter, Capabilities(sql="translated", changes=True, durable=False), _memory),
    BackendCase("sqlite", SQLiteAdapter, Capabilities(changes=True), _sqlite),
    BackendCase("postgresql", PostgresAdapter, Capabilities(changes=True), _postgresql),
    BackendCase(
        "supabase_direct", SupabaseDirectAdapter, Capabilities(row_security=True, changes=True), _supabase_direct
    ),
    BackendCase("convex", ConvexAdapter, replace(_BUFFERED, json_depth=14), _convex),
    BackendCase("supabase_http", SupabaseAdapter, replace(_BUFFERED, row_security=True), _supabase_http),
)
