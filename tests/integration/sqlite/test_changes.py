"""The feed of a SQLite file: what other programs and processes write, and files that were put back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from threading import Event

import apsw

from database.core.clock import monotonic
from database.core.operations import Insert
from tests.contract.following import PATIENCE
from tests.contract.following import in_pages
from tests.contract.following import told
from tests.contract.tables import create_tables
from tests.contract.tables import thing
from tests.integration.sqlite.conftest import Make
from tests.integration.sqlite.conftest import Start

_NOTE = "insert into notes (id) values (?)"


def test_another_program_is_captured_as_well(make: Make, path: Path) -> None:
    adapter = make()
    start = adapter.changes()
    with closing(apsw.Connection(str(path))) as program:
        program.execute(_NOTE, ["a"])
        program.execute(_NOTE, ["b"])
        program.execute("update notes set body = 'x' where id = 'a'")
        program.execute("update notes set id = 'c' where id = 'b'")
        program.execute("replace into notes (id, body) values ('a', 'y')")
        program.execute("begin")
        program.execute(_NOTE, ["undone"])
        program.execute("rollback")
        program.execute("delete from notes where id = 'a'")
    found = told(adapter, start.cursor)
    assert found[:3] == [("insert", "a"), ("insert", "b"), ("update", "a")]
    assert sorted(found[3:5]) == [("delete", "b"), ("insert", "c")]
    assert found[5:] == [("insert", "a"), ("delete", "a")]


def test_a_row_that_is_displaced_is_deleted(make: Make) -> None:
    adapter = make()
    adapter.run(Insert("things", [thing("a", code="x")]))
    start = adapter.changes()
    columns = "id, label, rank, code, version, created_at, updated_at"
    adapter.execute_query(f"insert or replace into things ({columns}) values ('b', '', 0, 'x', 1, '', '')")
    assert told(adapter, start.cursor) == [("delete", "a"), ("insert", "b")]


def test_cascades_are_captured(make: Make, path: Path) -> None:
    with closing(apsw.Connection(str(path))) as program:
        program.execute("drop table parts")
        program.execute("create table parts (id text primary key, thing_id text references things on delete cascade)")
    create_tables(f"sqlite:///{path}")
    adapter = make()
    adapter.run(Insert("things", [thing("a")]))
    adapter.execute_query("insert into parts values ('p', 'a')")
    start = adapter.changes()
    adapter.execute_query("delete from things")
    assert sorted(told(adapter, start.cursor)) == [("delete", "a"), ("delete", "p")]


def test_what_several_processes_write_is_told_in_the_order_of_their_commits(make: Make, start: Start) -> None:
    adapter = make(synchronous="normal")
    begin = adapter.changes().cursor
    writer = start("write_on")
    own, pause = 0, Event()
    found, cursor = in_pages(adapter, begin, 3)
    deadline = monotonic() + PATIENCE
    while sum(change.table == "things" for change in found) < 20:
        assert monotonic() < deadline
        adapter.run(Insert("notes", [{"id": f"{own:06}"}]))
        own += 1
        # SQLite's own queue for its lock is not a fair one.
        pause.wait(0.005)
        more, cursor = in_pages(adapter, cursor, 3)
        found += more
    writer.kill()
    writer.wait(PATIENCE)
    found += in_pages(adapter, cursor, 3)[0]
    assert found == in_pages(adapter, begin)[0]
    for table in ("things", "notes"):
        # Each writer's ids count upwards.
        assert [one.id for one in found if one.table == table] == [row["id"] for row in adapter.table(table).execute()]
    assert own > 0


def test_a_file_that_was_put_back_is_a_gap(make: Make, path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    adapter = make()
    adapter.run(Insert("notes", [{"id": "a"}]))
    at_copy = adapter.changes().cursor
    _copy(path, copy)
    adapter.run(Insert("notes", [{"id": "b"}, {"id": "c"}]))
    later = [adapter.changes(at_copy, 1).cursor, adapter.changes().cursor]
    adapter.disconnect()
    _copy(copy, path)
    assert [adapter.changes(cursor).gap for cursor in later] == [True, True]
    adapter.run(Insert("notes", [{"id": "d"}, {"id": "e"}, {"id": "f"}]))
    assert [adapter.changes(cursor).gap for cursor in later] == [True, True]
    # Nothing that this one has seen was lost.
    assert told(adapter, at_copy) == [("insert", "d"), ("insert", "e"), ("insert", "f")]


def test_another_database_is_a_gap(make: Make, tmp_path: Path) -> None:
    adapter = make()
    create_tables(f"sqlite:///{tmp_path}/other.db")
    other = make(path=str(tmp_path / "other.db"))
    begin = adapter.changes().cursor
    other.run(Insert("notes", [{"id": "a"}]))
    page = other.changes(begin)
    assert (page.changes, page.gap) == ((), True)
    assert not other.changes(page.cursor).gap


def _copy(path: Path, copy: Path) -> None:
    """Copy a database with SQLite's own backup, over whatever was there."""
    with (
        closing(apsw.Connection(str(path))) as source,
        closing(apsw.Connection(str(copy))) as target,
        target.backup("main", source, "main") as backup,
    ):
        backup.step()
