"""Cursors of servers that crashed, were promoted or got back what was dumped: each time there is a gap."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from database.backends.postgres import PostgresAdapter
from database.core.errors import Unsupported
from database.core.operations import Insert
from tests.contract.following import told
from tests.contract.tables import create_tables
from tests.integration.postgres.conftest import Make
from tests.servers.cluster import installed_binaries
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

_PROGRAMS = {"pg_dump": ["--clean", "--if-exists"], "psql": ["--quiet", "--no-psqlrc", "--set=ON_ERROR_STOP=1"]}


@pytest.fixture
def adapter(make: Make, durable_postgres: PostgresServer) -> PostgresAdapter:
    """An adapter to the contract's tables, on a server that may be stopped and killed."""
    database = durable_postgres.create_database()
    create_tables(database.sqlalchemy_url)
    return make(database)


def _is_a_gap_and_then_goes_on(adapter: PostgresAdapter, cursor: str, name: str) -> None:
    page = adapter.changes(cursor)
    assert (page.changes, page.gap) == ((), True)
    adapter.run(Insert("notes", [{"id": name}]))
    assert told(adapter, page.cursor) == [("insert", name)]


def test_an_orderly_restart_loses_nothing(adapter: PostgresAdapter, durable_postgres: PostgresServer) -> None:
    start = adapter.changes()
    adapter.run(Insert("notes", [{"id": "a"}]))
    durable_postgres.restart()
    adapter.disconnect()
    adapter.run(Insert("notes", [{"id": "b"}]))
    assert told(adapter, start.cursor) == [("insert", "a"), ("insert", "b")]


def test_a_crash_is_a_gap(adapter: PostgresAdapter, durable_postgres: PostgresServer) -> None:
    start = adapter.changes()
    adapter.run(Insert("notes", [{"id": "a"}]))
    durable_postgres.kill()
    durable_postgres.start()
    adapter.disconnect()
    # Numbers of transactions from shortly before the crash may be given again.
    _is_a_gap_and_then_goes_on(adapter, start.cursor, "b")


def test_a_standby_has_no_feed_and_a_promotion_is_a_gap(
    adapter: PostgresAdapter, durable_postgres: PostgresServer
) -> None:
    start = adapter.changes()
    adapter.run(Insert("notes", [{"id": "a"}]))
    adapter.disconnect()
    _make_a_standby_of(durable_postgres)
    for cursor in (None, start.cursor):
        with pytest.raises(Unsupported, match="standby"):
            adapter.changes(cursor)
    assert (adapter.get("notes", "a") or {})["id"] == "a"
    assert adapter.pipeline.circuit_breaker.state == "closed"
    adapter.execute_query("select pg_promote()")
    _is_a_gap_and_then_goes_on(adapter, start.cursor, "b")


def _make_a_standby_of(server: PostgresServer) -> None:
    server.stop()
    (server._cluster._data / "standby.signal").touch()
    server.start()


@pytest.fixture
def copied(postgres_server: PostgresServer, database: PostgresDatabase) -> Callable[[], PostgresDatabase]:
    """Makes another database of a file by file copy."""

    def copy() -> PostgresDatabase:
        empty = postgres_server.create_database()
        postgres_server.drop_database(empty)
        with psycopg.connect(postgres_server.dsn, autocommit=True) as connection:
            statement = f"create database {empty.database} template {database.database} strategy file_copy"
            connection.execute(statement.encode())
        return empty

    return copy


def test_another_database_is_a_gap(
    make: Make, database: PostgresDatabase, copied: Callable[[], PostgresDatabase]
) -> None:
    adapter = make(database)
    start = adapter.changes()
    adapter.run(Insert("notes", [{"id": "a"}]))
    adapter.disconnect()
    copy = make(copied())
    assert copy.get("notes", "a") is not None
    _is_a_gap_and_then_goes_on(copy, start.cursor, "b")


def test_what_a_dump_brings_back_is_a_gap(make: Make, database: PostgresDatabase, tmp_path: Path) -> None:
    adapter = make(database)
    start = adapter.changes()
    adapter.run(Insert("notes", [{"id": "a"}]))
    dump = tmp_path / "dump.sql"
    dump.write_bytes(_run("pg_dump", database))
    adapter.run(Insert("notes", [{"id": "b"}]))
    adapter.disconnect()
    _run("psql", database, f"--file={dump}")
    assert [row["id"] for row in adapter.table("notes").execute()] == ["a"]
    _is_a_gap_and_then_goes_on(adapter, start.cursor, "c")


def _run(program: str, database: PostgresDatabase, *arguments: str) -> bytes:
    command = [str(installed_binaries() / program), *_PROGRAMS[program], *arguments, f"--dbname={database.url}"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout
