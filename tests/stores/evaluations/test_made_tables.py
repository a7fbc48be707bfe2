"""The tables of evaluations are made with their first use: once, by anybody, and never changed."""

from __future__ import annotations

import multiprocessing
import sqlite3
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.core.context import active_unit
from database.core.errors import SchemaMismatch
from database.core.tables.schema import Schema
from database.declared import DEFAULT_PACKAGE
from database.declared import schema_in
from database.schema.migrations import runner
from database.unit_of_work import UnitOfWork
from stores import DatabaseStorage
from stores.evaluations.tables import own_schema
from tests.contract.backends import supabase_database
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer
from tests.stores.evaluations.places import SCHEMA
from tests.stores.evaluations.places import create_sqlite

OURS = {"evaluations", "evaluation_events", "evaluation_metrics", "isthmus_entries"}
PROCESSES = 4

Make = Callable[[Schema], DatabaseAdapter]


@pytest.fixture(autouse=True)
def _own_environment(own_environment: None) -> None:
    """For every test."""


@pytest.fixture(params=["sqlite", "postgresql"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Make]:
    """Makes adapters of one empty database; they are closed after the test."""
    kind: type[DatabaseAdapter] = SQLiteAdapter
    config: dict[str, Any] = {"path": str(tmp_path / "evaluations.db")}
    if request.param == "postgresql":
        kind, config = PostgresAdapter, asdict(request.getfixturevalue("postgres_database"))
    made: list[DatabaseAdapter] = []

    def one(schema: Schema) -> DatabaseAdapter:
        made.append(kind({**config, "timeout": 60}, schema))
        return made[-1]

    yield one
    for adapter in made:
        adapter.disconnect()


def tables(adapter: DatabaseAdapter) -> set[str]:
    """All tables of the database, in all schemas."""
    if adapter.sql_dialect == "sqlite":
        rows = adapter.execute_query("select name from sqlite_schema where type = 'table'")
    else:
        rows = adapter.execute_query(
            "select relname::text as name from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
            " where relkind = 'r' and nspname in ('public', 'isthmus_private')"
        )
    return {row["name"] for row in rows}


@pytest.mark.parametrize("schema", [SCHEMA, own_schema()], ids=["of an application", "their own"])
def test_they_are_made_with_the_first_read_or_write(make: Make, schema: Schema) -> None:
    adapter = make(schema)
    storage = DatabaseStorage(adapter)
    assert storage.list_evaluations() == []
    assert tables(adapter) == OURS
    storage.store_evaluation("a", {"code": "1"})
    assert (storage.retrieve_evaluation("a") or {})["code"] == "1"


def test_what_is_too_large_for_a_row_is_the_first_to_be_stored(make: Make) -> None:
    adapter = make(own_schema())
    storage = DatabaseStorage(adapter)
    storage.store_evaluation("a", {"code": "x" * 3_000_000})
    assert tables(adapter) == OURS
    assert (storage.retrieve_evaluation("a") or {})["code_size"] == 3_000_000


def test_they_are_made_before_a_transaction_begins(make: Make) -> None:
    storage = DatabaseStorage(make(own_schema()))
    unit = UnitOfWork(beginning=lambda: "writing")
    token = active_unit.set(unit)
    try:
        storage.store_evaluation("a", {"code": "1"})
        unit.end(success=True)
    finally:
        active_unit.reset(token)
    assert storage.list_evaluations() == ["a"]


def test_threads_make_them_at_once(make: Make) -> None:
    storage = DatabaseStorage(make(own_schema()))
    with ThreadPoolExecutor(8) as pool:
        stored = list(pool.map(lambda number: storage.store_evaluation(f"e{number}", {"code": "1"}), range(8)))
    assert stored == [True] * 8
    assert storage.count_evaluations() == 8


def test_processes_make_them_at_once(make: Make) -> None:
    adapter = make(own_schema())
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(PROCESSES, spawned) as pool, spawned.Manager() as shared:
        together = shared.Barrier(PROCESSES, timeout=120)
        work = partial(_first_use, type(adapter), adapter.config, together)
        assert list(pool.map(work, range(PROCESSES))) == [True] * PROCESSES
    assert DatabaseStorage(adapter).count_evaluations() == PROCESSES
    assert tables(adapter) == OURS


def _first_use(kind: type[DatabaseAdapter], config: dict[str, Any], together: Any, number: int) -> bool:
    adapter = kind(config, own_schema())
    storage = DatabaseStorage(adapter)
    together.wait()
    stored = storage.store_evaluation(f"e{number}", {"code": "1"})
    adapter.disconnect()
    return stored


def test_tables_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    create_sqlite(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("drop index idx_evaluations_status")
        connection.execute("alter table evaluations add column mine text")
        before = connection.execute("select name, sql from sqlite_schema").fetchall()
        adapter = SQLiteAdapter({"path": str(path)}, SCHEMA)
        DatabaseStorage(adapter).store_evaluation("a", {"code": "1"})
        adapter.disconnect()
        assert connection.execute("select name, sql from sqlite_schema").fetchall() == before


def test_a_column_that_is_missing_is_told(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    create_sqlite(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("alter table evaluations drop column error_type")
    adapter = SQLiteAdapter({"path": str(path)}, SCHEMA)
    storage = DatabaseStorage(adapter)
    for _ in range(2):
        with pytest.raises(SchemaMismatch, match="error_type"):
            storage.list_evaluations()
    adapter.disconnect()


def test_the_applications_migrations_make_its_tables(make: Make) -> None:
    adapter = make(schema_in(DEFAULT_PACKAGE))
    DatabaseStorage(adapter).store_evaluation("a", {"code": "1"})
    assert runner.pending(adapter) == []
    assert runner.check(adapter) == []


@pytest.mark.parametrize("setting", [{"ENVIRONMENT": "production"}, {"DB_AUTO_MIGRATE": "false"}])
def test_they_do_so_only_where_the_application_may_migrate(
    monkeypatch: pytest.MonkeyPatch, postgres_database: PostgresDatabase, setting: dict[str, str]
) -> None:
    for name, value in {"JWT_KEYRING_PASSWORD": "p" * 32, **setting}.items():
        monkeypatch.setenv(name, value)
    adapter = PostgresAdapter(asdict(postgres_database), schema_in(DEFAULT_PACKAGE))
    storage = DatabaseStorage(adapter)
    with pytest.raises(SchemaMismatch, match="flask db upgrade"):
        storage.store_evaluation("a", {"code": "1"})
    assert tables(adapter) == set()
    runner.upgrade(adapter)
    assert storage.store_evaluation("a", {"code": "1"})
    adapter.disconnect()


def test_an_application_that_does_not_declare_them_has_them_beside_its_own() -> None:
    manager = ConnectionManager.get_instance()
    assert "evaluations" not in manager.schema
    storage = DatabaseStorage()
    storage.store_evaluation("a", {"code": "1"})
    assert tables(manager.adapter) == OURS
    manager.disconnect()


def test_nobody_reads_them_through_the_interface_of_supabase(postgres_server: PostgresServer) -> None:
    database = supabase_database(postgres_server)
    adapter = PostgresAdapter(asdict(database), own_schema())
    DatabaseStorage(adapter).store_evaluation("a", {"code": "1"})
    adapter.disconnect()
    engine = sa.create_engine(database.sqlalchemy_url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        secured = connection.scalars(sa.text("select relname from pg_class where relrowsecurity")).all()
        readable = connection.scalar(sa.text("select has_table_privilege('anon', 'evaluations', 'select')"))
    engine.dispose()
    assert (set(secured), readable) == (OURS, False)
