from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import psycopg
import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskCliRunner

from cli.db import db_commands
from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.columns import text
from database.connection_manager import ConnectionManager
from database.core.operations import Insert
from database.extension import Isthmus
from database.schema.migrations import presence
from database.schema.migrations import runner
from tests.integration.migrations.declaring import anew
from tests.integration.migrations.declaring import declared
from tests.integration.migrations.declaring import declaring
from tests.integration.migrations.revisions import NEWEST
from tests.integration.migrations.revisions import REVISIONS
from tests.servers.network.ports import free_port

ALL = ", ".join(REVISIONS)


@pytest.fixture
def away() -> Iterator[PostgresAdapter]:
    """A server that is not there."""
    config = {"host": "127.0.0.1", "port": free_port(), "retry_count": 0, "pool_timeout": 0.5}
    adapter = PostgresAdapter(config, name="away")
    yield adapter
    adapter.disconnect()


def test_every_reachable_database_is_upgraded(sqlite: SQLiteAdapter, away: PostgresAdapter) -> None:
    cli = _cli(away, MemoryAdapter(), sqlite)
    first = cli.invoke(args=["db", "upgrade"])
    assert (first.exit_code, first.stdout) == (0, f"memory: has no SQL tables\nsqlite: applied {ALL}\n")
    where = f"no server is listening at 127.0.0.1:{away.config['port']}"
    what = "start PostgreSQL or check LOCAL_DB_HOST and LOCAL_DB_PORT"
    assert first.stderr == f"away: skipped: {where}; {what}\n"
    again = cli.invoke(args=["db", "upgrade"])
    assert (again.exit_code, again.stdout) == (0, "memory: has no SQL tables\nsqlite: up to date\n")
    assert runner.current(sqlite) == NEWEST


def test_a_table_that_no_migration_creates_is_named_and_stops_no_other(adapter: DatabaseAdapter) -> None:
    with declaring(declared("projects", sa.Column("title", text()))):
        author = anew(adapter)
        done = _cli(author).invoke(args=["db", "upgrade"])
        lines = done.stdout.splitlines()
        assert (done.exit_code, lines[0]) == (0, f"{adapter.name}: applied {ALL}")
        assert lines[1:] == ["  table projects: no migration creates it; run `flask db revision MESSAGE`"]
        assert "projects" in presence.missing_tables(author)
        assert len(author.run(Insert("molecules", [{"name": "Water"}])).rows) == 1
        author.disconnect()


@pytest.mark.parametrize("command", ["upgrade", "current", "check"])
def test_no_reachable_database_is_a_failure(away: PostgresAdapter, command: str) -> None:
    done = _cli(away, MemoryAdapter()).invoke(args=["db", command])
    assert done.exit_code == 1
    assert done.stderr.endswith("Error: No database can be reached; see the errors above.\n")


@pytest.mark.parametrize("command", ["upgrade", "current", "check"])
def test_memory_alone_needs_nothing(command: str) -> None:
    done = _cli(MemoryAdapter()).invoke(args=["db", command])
    assert (done.exit_code, done.output) == (0, "memory: has no SQL tables\n")


def test_revisions_are_shown(sqlite: SQLiteAdapter, postgres: PostgresAdapter) -> None:
    runner.upgrade(postgres)
    done = _cli(sqlite, postgres).invoke(args=["db", "current"])
    assert (done.exit_code, done.output) == (
        0,
        f"sqlite: no revision; pending: {ALL}\npostgresql: {', '.join(NEWEST)}\n",
    )


def test_a_difference_fails_the_check(sqlite: SQLiteAdapter, postgres: PostgresAdapter) -> None:
    cli = _cli(sqlite, postgres)
    cli.invoke(args=["db", "upgrade"])
    fine = cli.invoke(args=["db", "check"])
    assert (fine.exit_code, fine.output) == (0, "sqlite: as declared\npostgresql: as declared\n")
    sqlite.execute_query("alter table molecules add column extra text")
    done = cli.invoke(args=["db", "check"])
    assert done.exit_code == 1
    assert done.output == "sqlite: differs\n  molecules.extra: is not declared\npostgresql: as declared\n"


def test_old_changes_are_forgotten(sqlite: SQLiteAdapter, postgres: PostgresAdapter) -> None:
    cli = _cli(MemoryAdapter(), sqlite, postgres)
    cli.invoke(args=["db", "upgrade"])
    for adapter in (sqlite, postgres):
        adapter.table("protocols").insert([{"name": "a"}, {"name": "b"}]).execute()
    young = cli.invoke(args=["db", "purge-changes"])
    assert (young.exit_code, young.output) == (0, _PURGED.format(0))
    old = cli.invoke(args=["db", "purge-changes", "--older-than", "0s"])
    assert (old.exit_code, old.output) == (0, _PURGED.format(2))


_PURGED = "memory: has no SQL tables\nsqlite: deleted {0} changes\npostgresql: deleted {0} changes\n"


@pytest.mark.parametrize("age", ["", "7", "d", "-1d", "1.5d", "7 days", "1w", "99999999d", "\u0661d"])
def test_an_age_has_a_number_and_a_unit(age: str) -> None:
    done = _cli(MemoryAdapter()).invoke(args=["db", "purge-changes", "--older-than", age])
    assert done.exit_code == 2
    assert "7d, 12h, 30m or 45s" in done.stderr


def test_without_a_log_there_is_nothing_to_forget(sqlite: SQLiteAdapter) -> None:
    done = _cli(sqlite).invoke(args=["db", "purge-changes"])
    assert done.exit_code == 1
    assert "flask db upgrade" in done.stderr


def test_a_revision_needs_a_database_with_tables() -> None:
    done = _cli(MemoryAdapter()).invoke(args=["db", "revision", "more"])
    assert (done.exit_code, done.stderr) == (
        1,
        "Error: No database of DB_ADAPTER_ORDER has SQL tables; add one that has.\n",
    )


_CATALOGUE = (
    "select oid, relname, relkind, relfilenode, relacl, relrowsecurity, relforcerowsecurity from pg_class",
    "select attrelid, attname, atttypid, attnotnull, attisdropped from pg_attribute",
    "select * from pg_policy",
    "select * from pg_proc",
    "select * from pg_trigger",
    "select * from pg_constraint",
    "select * from pg_namespace",
    "select oid, rolname, rolbypassrls from pg_roles",
    "select * from pg_default_acl",
    "select * from pg_description",
    "select * from pg_depend",
)


def connected_directly(adapter: PostgresAdapter) -> psycopg.Connection[tuple[Any, ...]]:
    config = adapter.config
    names = {"host": config["host"], "port": config["port"], "user": config["user"], "dbname": config["database"]}
    return psycopg.connect(**names, password=config["password"])


def fingerprint(adapter: DatabaseAdapter) -> list[str]:
    """Everything that the database's catalogue says; for a SQLite file that does not exist, nothing."""
    if isinstance(adapter, PostgresAdapter):
        with connected_directly(adapter) as connection:
            return sorted(repr(row) for text in _CATALOGUE for row in connection.execute(text.encode()))
    path = Path(adapter.describe()["path"])
    return list(map(repr, apsw.Connection(str(path)).execute("select * from sqlite_schema"))) if path.exists() else []


def run_script(adapter: DatabaseAdapter, script: str) -> None:
    """Run it as its user would: with ``sqlite3`` or ``psql``."""
    if isinstance(adapter, PostgresAdapter):
        with connected_directly(adapter) as connection:
            connection.execute(script.encode())
    else:
        apsw.Connection(adapter.describe()["path"]).execute(script).fetchall()


@pytest.mark.parametrize("command", [["plan"], ["upgrade", "--dry-run"]])
def test_a_plan_is_the_upgrade_and_changes_nothing(adapter: DatabaseAdapter, command: list[str]) -> None:
    cli = _cli(adapter)
    assert cli.invoke(args=["db", "upgrade", REVISIONS[-2]]).exit_code == 0
    before = fingerprint(adapter)
    done = cli.invoke(args=["db", *command])
    assert (done.exit_code, done.output.split("\n")[0]) == (0, f"-- {adapter.name}: would run:"), done.output
    assert fingerprint(adapter) == before
    assert runner.pending(adapter) == REVISIONS[-1:]
    run_script(adapter, done.output)
    assert (runner.pending(adapter), runner.check(adapter)) == ([], [])


def test_a_plan_for_an_empty_database(adapter: DatabaseAdapter) -> None:
    before = fingerprint(adapter)
    done = _cli(adapter).invoke(args=["db", "plan"])
    assert (done.exit_code, "create table molecules" in done.output.lower()) == (0, True)
    assert fingerprint(adapter) == before
    runner.upgrade(adapter)
    assert runner.check(adapter) == []


@pytest.mark.parametrize("adapter", ["sqlite", "postgres"], indirect=True)
def test_dry_runs_change_nothing(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    start = adapter.changes(None).cursor
    adapter.table("molecules").insert({"name": "kept"}).execute()
    before = fingerprint(adapter)
    cli = _cli(adapter)
    own = "isthmus_private." if adapter.sql_dialect == "postgres" else ""
    for arguments, words in (
        (["downgrade"], "drop table notes"),
        (["downgrade", "base"], "drop table molecules"),
        (["stamp", "base"], f"delete from {own}isthmus_version"),
        (["purge-changes", "--older-than", "0s"], "isthmus_changes"),
    ):
        done = cli.invoke(args=["db", *arguments, "--dry-run"])
        assert (done.exit_code, words in done.output.lower()) == (0, True), done.output
        assert fingerprint(adapter) == before
        assert (runner.current(adapter), runner.pending(adapter)) == (NEWEST, [])
    assert [change.kind for change in adapter.changes(start).changes] == ["insert"]


def test_a_plan_shows_what_would_fail(sqlite: SQLiteAdapter, away: PostgresAdapter) -> None:
    sqlite.execute_query("create table molecules (id text primary key)")
    before = fingerprint(sqlite)
    done = _cli(away, sqlite, MemoryAdapter()).invoke(args=["db", "plan"])
    assert (done.exit_code, "creates table molecules, which already exists" in done.output) == (1, True)
    assert fingerprint(sqlite) == before


def _cli(*adapters: DatabaseAdapter) -> FlaskCliRunner:
    app = Flask(__name__)
    manager = ConnectionManager(adapters={adapter.name: adapter for adapter in adapters})
    Isthmus.of(app)[ConnectionManager] = manager
    app.cli.add_command(db_commands)
    return app.test_cli_runner()
