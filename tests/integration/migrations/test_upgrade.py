from __future__ import annotations

import logging
import multiprocessing
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from threading import Event
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.context import Identity
from database.core.context import acting_as
from database.core.errors import BackendError
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.schema.migrations import own_schema
from database.schema.migrations import runner
from database.schema.migrations.history import UnknownRevision
from database.schema.sqlalchemy_engine import connected
from tests.integration.migrations import workers
from tests.integration.migrations.declaring import anew
from tests.integration.migrations.declaring import own_migrations
from tests.integration.migrations.revisions import APPLICATION
from tests.integration.migrations.revisions import NEWEST
from tests.integration.migrations.revisions import REVISIONS
from tests.servers.network.ports import free_port
from tests.servers.postgres import PostgresServer

PROCESSES = 4


def test_an_empty_database_gets_the_declared_tables(adapter: DatabaseAdapter) -> None:
    assert (runner.current(adapter), runner.pending(adapter)) == ([], REVISIONS)
    assert runner.upgrade(adapter) == REVISIONS
    assert (runner.current(adapter), runner.pending(adapter)) == (NEWEST, [])
    assert runner.check(adapter) == []
    molecule = adapter.table("molecules").insert({"name": "water", "properties": {"mass": 18.0}}).execute().rows[0]
    assert adapter.get("molecules", molecule["id"]) == molecule
    with pytest.raises(ConstraintViolated):
        adapter.table("experiments").insert({"name": "boil", "molecule_id": "none"}).execute()


def test_a_second_upgrade_changes_nothing(adapter: DatabaseAdapter) -> None:
    assert runner.upgrade(adapter) == REVISIONS
    adapter.table("protocols").insert({"name": "kept"}).execute()
    assert runner.upgrade(adapter) == []
    assert runner.upgrade(adapter, always=True) == []
    assert [row["name"] for row in adapter.table("protocols").execute().rows] == ["kept"]
    assert runner.check(adapter) == []


def test_with_nothing_pending_one_query_is_all(adapter: DatabaseAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    runner.upgrade(adapter)
    engines: list[Any] = []
    monkeypatch.setattr(sa, "create_engine", lambda *arguments, **_: engines.append(arguments))
    before = _calls(adapter)
    with acting_as(Identity(role="anon")):
        assert runner.upgrade(adapter) == []
    assert engines == []
    assert _calls(adapter) == before + 1


def test_an_upgrade_inside_a_transaction_of_the_caller_does_not_join_it(postgres: PostgresAdapter) -> None:
    def upgrade_and_fail() -> None:
        with postgres.transaction() as transaction:
            runner.upgrade(postgres)
            assert transaction.state == "active"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        upgrade_and_fail()
    assert runner.current(postgres) == NEWEST


def test_text_compares_by_code_point_in_the_database_itself(postgres: PostgresAdapter) -> None:
    runner.upgrade(postgres)
    rows = postgres.execute_query(
        "select distinct collation_name from information_schema.columns"
        " where table_schema in ('public', 'isthmus_private') and table_name <> 'isthmus_version'"
        " and data_type like 'char%'"
    )
    assert rows == [{"collation_name": "C"}]


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_of_several_processes_one_does_the_work_and_all_succeed(kind: str, request: pytest.FixtureRequest) -> None:
    adapter: DatabaseAdapter = request.getfixturevalue(kind)
    context = multiprocessing.get_context("spawn")
    together, answers = context.Barrier(PROCESSES), context.Queue()
    processes = [
        context.Process(target=workers.upgrade, args=(type(adapter), adapter.config, together, answers))
        for _ in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    results = [answers.get(timeout=120) for _ in processes]
    for process in processes:
        process.join(60)
    answers.close()
    assert sorted(results, key=len) == [*[[]] * (PROCESSES - 1), REVISIONS]
    assert runner.check(adapter) == []


def test_threads_upgrade_different_databases_one_after_another(
    sqlite: SQLiteAdapter, postgres: PostgresAdapter
) -> None:
    applied: dict[str, list[str]] = {}

    def upgrade(adapter: DatabaseAdapter) -> None:
        applied[adapter.name] = runner.upgrade(adapter)

    first, second = Thread(target=upgrade, args=(postgres,)), Thread(target=upgrade, args=(sqlite,))
    obstacle = postgres.begin_transaction()
    postgres._execute_query_in_transaction(obstacle, "create table molecules (id integer)")
    first.start()
    _wait_for_a_waiting_session(postgres)
    second.start()
    second.join(0.5)  # long enough to come between, were it let in
    obstacle.rollback()
    for thread in (first, second):
        thread.join(60)
    assert applied == {"sqlite": REVISIONS, "postgresql": REVISIONS}
    assert runner.check(sqlite) == runner.check(postgres) == []


def test_a_failed_upgrade_leaves_nothing_behind(adapter: DatabaseAdapter) -> None:
    _run_as_owner(adapter, "create table isthmus_users (id integer)")
    with pytest.raises(InvalidQuery, match="already exists"):
        runner.upgrade(adapter)
    assert runner.current(adapter) == []
    missing = [line for line in runner.check(adapter) if line.endswith(": is missing")]
    assert {"molecules: is missing", "experiments: is missing"} <= set(missing)
    _run_as_owner(adapter, "drop table isthmus_users")
    assert runner.upgrade(adapter) == REVISIONS


def test_a_database_of_a_newer_version_is_refused(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    _run_as_owner(adapter, "delete from isthmus_version")
    _run_as_owner(adapter, "insert into isthmus_version values ('9999')")
    assert runner.current(adapter) == ["9999"]
    with pytest.raises(UnknownRevision, match="9999"):
        runner.upgrade(adapter)


def test_an_alembic_of_the_application_is_left_alone(postgres: PostgresAdapter) -> None:
    postgres.execute_batch(
        ["create table alembic_version (version_num text)", "insert into alembic_version values ('theirs')"]
    )
    postgres.execute_query("create table theirs (id integer)")
    assert runner.upgrade(postgres) == REVISIONS
    assert postgres.execute_query("select version_num from alembic_version") == [{"version_num": "theirs"}]
    assert runner.check(postgres) == []


def test_check_finds_every_drift(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    for statement in (
        "drop index ix_molecules_formula",
        "alter table molecules add column extra text",
        "alter table protocols drop column description",
        "drop table experiments",
    ):
        _run_as_owner(adapter, statement)
    found = [line for line in runner.check(adapter) if "index ix_experiments" not in line]
    assert sorted(found) == [
        "experiments: is missing",
        "molecules.extra: is not declared",
        "molecules: index ix_molecules_formula: is missing",
        "protocols.description: is missing",
    ]


def test_check_looks_into_columns(postgres: PostgresAdapter) -> None:
    runner.upgrade(postgres)
    postgres.execute_batch(
        [
            'alter table molecules alter column name type varchar collate "default"',
            'alter table molecules alter column version type text collate "C" using version::text',
            "alter table molecules alter column name drop not null",
            "alter table isthmus_private.isthmus_users drop constraint uq_isthmus_users_email",
        ]
    )
    assert sorted(runner.check(postgres)) == [
        "isthmus_users: unique constraint uq_isthmus_users_email: is missing",
        "molecules.name: nullable is true instead of false",
        'molecules.name: type is VARCHAR instead of VARCHAR COLLATE "C"',
        'molecules.version: type is TEXT COLLATE "C" instead of BIGINT',
    ]


def test_backends_without_sql_tables_need_nothing() -> None:
    memory = MemoryAdapter()
    assert (runner.upgrade(memory), runner.pending(memory), runner.check(memory)) == ([], [], [])
    assert runner.current(memory) == []


def test_an_unreachable_server_is_told_without_the_password(bare_server: PostgresServer) -> None:
    nowhere = {"host": "127.0.0.1", "port": free_port(), "user": "postgres", "password": "tell-nobody"}
    wrong = {"host": "127.0.0.1", "port": bare_server.port, "user": "postgres", "password": "tell-nobody"}
    for config in (nowhere, wrong):
        adapter = PostgresAdapter({**config, "retry_count": 0, "pool_timeout": 0.5})
        for act in (runner.upgrade, runner.check, runner.current):
            with pytest.raises(BackendError) as caught:
                act(adapter)
            assert "tell-nobody" not in f"{caught.value!r} {caught.value.__cause__!r}"
        adapter.disconnect()


def test_the_logging_of_the_application_stays_as_it_is(
    sqlite: SQLiteAdapter, capsys: pytest.CaptureFixture[str]
) -> None:
    root, mine = logging.getLogger(), logging.getLogger("somebody.elses")
    before = (root.level, list(root.handlers), mine.disabled, logging.getLogger("alembic").handlers)
    runner.upgrade(sqlite)
    assert (root.level, list(root.handlers), mine.disabled, logging.getLogger("alembic").handlers) == before
    assert capsys.readouterr() == ("", "")


def test_open_connections_keep_their_locks_on_the_file(sqlite: SQLiteAdapter) -> None:
    runner.upgrade(sqlite)
    with sqlite.transaction():
        # The adapter's connection waits in its free list; locks are gone if its file is closed by another SQLite.
        assert sqlite.execute_query("select count(*) as n from molecules") == [{"n": 0}]
    path = sqlite.describe()["path"]
    assert not _can_take_exclusively(path)
    runner.check(sqlite)
    runner.upgrade(sqlite, always=True)
    assert not _can_take_exclusively(path)
    sqlite3.connect(path).close()
    assert _can_take_exclusively(path)


def test_the_next_migration_is_written_from_the_difference(sqlite: SQLiteAdapter, tmp_path: Path) -> None:
    runner.upgrade(sqlite)
    sqlite.execute_query("drop index ix_molecules_formula")
    path = runner.revise(anew(sqlite, own_migrations(tmp_path)), "Index of formulas")
    assert re.fullmatch(r"\d{14}_index_of_formulas\.py", path.name)
    assert path.parent == tmp_path / "versions"
    written: dict[str, Any] = {}
    exec(compile(path.read_text(), path, "exec"), written)  # noqa: S102  # our own template's output
    assert (written["revision"], written["down_revision"]) == (path.name[:14], APPLICATION[-1])
    assert written["__doc__"] == "Index of formulas."
    assert 'create_index(batch_op.f("ix_molecules_formula"), ["formula"]' in path.read_text()
    assert runner.pending(sqlite) == []


def test_a_downgrade_goes_back_to_an_empty_database(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    assert runner.downgrade(adapter, "base") == REVISIONS[::-1]
    assert runner.current(adapter) == []
    with connected(adapter, writes=False) as connection:
        # The record of commits over HTTP belongs to Supabase's functions, and the log of changes to its triggers.
        left = set(sa.inspect(connection).get_table_names()) - {"isthmus_commits", "isthmus_changes"}
        assert left == {"isthmus_version"}
    assert runner.upgrade(adapter) == REVISIONS
    assert runner.check(adapter) == []


def test_every_declared_table_is_in_the_migrations(sqlite: SQLiteAdapter) -> None:
    runner.upgrade(sqlite)
    rows = sqlite.execute_query("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'")
    assert {row["name"] for row in rows} == {
        *(table.name for table in sqlite.schema),
        "isthmus_version",
        "isthmus_changes",
    }


def _calls(adapter: DatabaseAdapter) -> int:
    counts = adapter.get_connection_info()["operations"].values()
    return sum(one["ok"] + one["request_error"] + one["backend_error"] + one["unknown"] for one in counts)


def _wait_for_a_waiting_session(adapter: PostgresAdapter) -> None:
    query = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
    pause = Event()
    for _ in range(600):
        if adapter.execute_query(query):
            return
        pause.wait(0.05)
    pytest.fail("no session waits for a lock")


def _run_as_owner(adapter: DatabaseAdapter, statement: str) -> None:
    """Supabase's service role owns nothing; the configured user does."""
    with connected(adapter, writes=True) as connection:
        own_schema.widen(connection)
        connection.exec_driver_sql(statement)


def _can_take_exclusively(path: str) -> bool:
    """Whether another process finds no lock on the database file."""
    take = (
        "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None);"
        "db.execute('pragma locking_mode = exclusive'); db.execute('begin exclusive')"
    )
    done = subprocess.run([sys.executable, "-c", take, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "locked" in done.stderr
    return done.returncode == 0
