"""The log of changes comes with an upgrade, and what an upgrade mends is told as a gap."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.columns import text
from database.core.context import as_application
from database.core.errors import SchemaMismatch
from database.core.errors import Unsupported
from database.core.operations import Insert
from database.schema.migrations import runner
from database.schema.migrations.capture import install as capture
from database.schema.sqlalchemy_engine import connected
from tests.contract.following import told


def _insert(adapter: DatabaseAdapter, name: str) -> None:
    adapter.table("molecules").insert({"id": name, "name": name}).execute()


def _run_as_owner(adapter: DatabaseAdapter, statement: str) -> None:
    with connected(adapter, writes=True) as connection:
        connection.exec_driver_sql(statement)


def test_an_upgraded_database_tells_its_changes(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    start = adapter.changes()
    _insert(adapter, "a")
    assert told(adapter, start.cursor) == [("insert", "a")]


def test_another_upgrade_leaves_cursors_as_they_are(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    start = adapter.changes()
    _insert(adapter, "a")
    runner.upgrade(adapter, always=True)
    _insert(adapter, "b")
    assert told(adapter, start.cursor) == [("insert", "a"), ("insert", "b")]


def test_what_belongs_to_isthmus_itself_is_not_captured(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    start = adapter.changes()
    adapter.table("isthmus_users").insert({"email": "ada@example.com", "password_hash": "x"}).execute()
    assert told(adapter, start.cursor) == []


ON_SQLITE = [
    ("drop trigger isthmus_delete_molecules", "isthmus_changes: trigger isthmus_delete_molecules is missing"),
    ("drop trigger isthmus_touch_molecules", "isthmus_changes: trigger isthmus_touch_molecules is missing"),
    ("delete from isthmus_changes", "isthmus_changes: is empty"),
    ("alter table isthmus_changes add column more text", "isthmus_changes: is from another version"),
    ("drop table isthmus_changes", "isthmus_changes: is missing"),
]
ON_POSTGRES = [
    ("drop trigger isthmus_capture on molecules", "molecules: trigger isthmus_capture is missing"),
    (
        "alter table molecules disable trigger isthmus_capture_truncate",
        "molecules: trigger isthmus_capture_truncate is missing",
    ),
    ("comment on schema isthmus_changes is 'log 0'", "isthmus_changes: is from another version"),
    ("drop schema isthmus_changes cascade", "isthmus_changes: is missing"),
]


@pytest.mark.parametrize(("statement", "line"), ON_SQLITE)
def test_on_sqlite_a_fault_is_found_mended_and_told(sqlite: SQLiteAdapter, statement: str, line: str) -> None:
    _find_mend_and_tell(sqlite, statement, line)


@pytest.mark.parametrize(("statement", "line"), ON_POSTGRES)
def test_on_postgresql_a_fault_is_found_mended_and_told(postgres: PostgresAdapter, statement: str, line: str) -> None:
    _find_mend_and_tell(postgres, statement, line)


def _find_mend_and_tell(adapter: DatabaseAdapter, statement: str, line: str) -> None:
    runner.upgrade(adapter)
    start = adapter.changes()
    _run_as_owner(adapter, statement)
    assert runner.check(adapter) == [line]
    runner.upgrade(adapter, always=True)
    assert runner.check(adapter) == []
    assert adapter.changes(start.cursor).gap
    start = adapter.changes(start.cursor)
    _insert(adapter, "a")
    assert told(adapter, start.cursor) == [("insert", "a")]


def test_on_postgresql_the_trigger_that_counts_versions_is_found_missing(postgres: PostgresAdapter) -> None:
    runner.upgrade(postgres)
    _run_as_owner(postgres, "drop trigger zz_isthmus_touch on molecules")
    assert runner.check(postgres) == ["molecules: trigger zz_isthmus_touch is missing"]
    runner.upgrade(postgres, always=True)
    assert runner.check(postgres) == []


@pytest.mark.parametrize(("hours", "believed"), [(1, True), (48, False)])
def test_the_time_of_plain_sql_is_not_before_that_of_the_row(
    adapter: DatabaseAdapter, hours: int, believed: bool
) -> None:
    runner.upgrade(adapter)
    begun = datetime.now(UTC) - timedelta(milliseconds=1)
    ahead = begun + timedelta(hours=hours)
    adapter.run(Insert("molecules", [{"id": "a", "name": "old", "updated_at": ahead}]))
    with as_application():
        adapter.execute_query("update molecules set name = 'new' where id = 'a'")
    found = adapter.get("molecules", "a", ("updated_at", "version"))
    assert found is not None
    assert found["version"] == 2
    assert found["updated_at"] >= ahead if believed else begun <= found["updated_at"] < ahead


def test_a_supabase_project_needs_the_function(supabase: DatabaseAdapter) -> None:
    runner.upgrade(supabase)
    _run_as_owner(supabase, "drop function isthmus_changes(text, integer)")
    assert runner.check(supabase) == ["isthmus_changes: the function is missing"]
    runner.upgrade(supabase, always=True)
    assert runner.check(supabase) == []


def test_other_columns_are_a_gap(adapter: DatabaseAdapter) -> None:
    before, after = _oddly_named(), _oddly_named(sa.Column("more", sa.Text))
    with connected(adapter, writes=True) as connection:
        before.create_all(connection)
        capture.apply(connection, before.sorted_tables)
    start = adapter.changes()
    with connected(adapter, writes=True) as connection:
        assert capture.differences(connection, before.sorted_tables) == []
        capture.apply(connection, before.sorted_tables)
    assert not adapter.changes(start.cursor).gap
    with connected(adapter, writes=True) as connection:
        assert capture.differences(connection, after.sorted_tables) != []
        capture.apply(connection, after.sorted_tables)
    assert adapter.changes(start.cursor).gap


def test_any_name_of_a_table_will_do(adapter: DatabaseAdapter) -> None:
    tables = _oddly_named()
    with connected(adapter, writes=True) as connection:
        tables.create_all(connection)
        capture.apply(connection, tables.sorted_tables)
    start = adapter.changes()
    (table,) = tables.tables.values()
    with connected(adapter, writes=True) as connection:
        connection.execute(table.insert(), {"id": "a"})
    (change,) = adapter.changes(start.cursor).changes
    assert (change.table, change.id, change.kind) == (table.name, "a", "insert")


def _oddly_named(*columns: sa.Column[Any]) -> sa.MetaData:
    tables = sa.MetaData()
    sa.Table('it\'s a {0} "Table"', tables, sa.Column("id", text(255), primary_key=True), *columns)
    return tables


def test_without_a_log_nothing_is_purged(adapter: DatabaseAdapter) -> None:
    with pytest.raises(SchemaMismatch, match="flask db upgrade"):
        capture.purge(adapter, timedelta(days=7))


def test_backends_without_sql_tables_have_no_such_log() -> None:
    with pytest.raises(Unsupported):
        capture.purge(MemoryAdapter(), timedelta(days=7))


def test_what_is_purged_and_was_not_read_is_a_gap(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    first = adapter.changes()
    for name in "abc":
        _insert(adapter, name)
    second = adapter.changes(first.cursor)
    _insert(adapter, "d")
    last = adapter.changes()
    assert capture.purge(adapter, timedelta(days=7)) == 0
    assert capture.purge(adapter, timedelta()) >= 3
    assert [adapter.changes(cursor).gap for cursor in (first.cursor, second.cursor, last.cursor)] == [True, True, False]
    third = adapter.changes()
    _insert(adapter, "e")
    assert told(adapter, third.cursor) == [("insert", "e")]


def test_what_a_follower_has_not_read_is_kept(adapter: DatabaseAdapter) -> None:
    runner.upgrade(adapter)
    cursors = [adapter.changes().cursor]
    for name in "abc":
        _insert(adapter, name)
        cursors.append(adapter.changes(cursors[-1]).cursor)
    behind, of_others = cursors[1], ["7", "17:00", f"{'0' * 36}/1:1:", "1:0011223344556677", ""]
    capture.purge(adapter, timedelta(), [cursors[2], behind, *of_others])
    assert not adapter.changes(behind).gap
    assert told(adapter, behind) == [("insert", "b"), ("insert", "c")]
    capture.purge(adapter, timedelta(), of_others)
    assert adapter.changes(behind).gap
