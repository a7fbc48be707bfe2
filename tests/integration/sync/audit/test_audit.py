"""The audit of two databases that should be equal."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import apsw
import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.context import as_application
from database.core.errors import Unavailable
from database.core.operations import Delete
from database.core.operations import Update
from database.schema.migrations import runner
from database.sync import SyncManager
from database.sync.audit.auditor import Auditor
from database.sync.audit.findings import Findings
from database.sync.checkpoint import Checkpoints
from tests.integration.sync.conftest import Two
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert
from tests.integration.sync.support import journal


def go_on() -> bool:
    return False


def audited(manager: SyncManager, **options: Any) -> Findings:
    return manager.auditor(**options).run(go_on)


def hide(manager: SyncManager) -> None:
    """Move the cursors behind all changes, as if no feed had told of them."""
    checkpoints = Checkpoints(manager.pair)
    checkpoints.advance(checkpoints.load(), checkpoints.ends())


def change(adapter: DatabaseAdapter, record: str, **values: Any) -> None:
    with as_application():
        adapter.run(Update("molecules", values, record))


def remove(adapter: DatabaseAdapter, record: str) -> None:
    with as_application():
        adapter.run(Delete("molecules", record))


def test_differences_that_no_feed_has_are_told_and_repaired(two: Two) -> None:
    for name in "abcde":
        insert(two.first, name)
    manager = two.sync()
    assert audited(manager).equal
    change(two.first, "a", name="silent", formula="H2O")
    remove(two.first, "b")
    remove(two.second, "c")
    insert(two.second, "f")
    hide(manager)

    found = audited(two.manager())
    assert not found.equal
    assert dict(found.tables["molecules"]) == {
        "compared": 6, "missing_on_first": 2, "missing_on_second": 1, "different": 1, "unreadable": 0, "in_flight": 0,
        "repaired": 0,
    }  # fmt: skip
    told = {(one["id"], one["kind"]): one.get("columns") for one in found.shown}
    assert set(told) == {
        ("a", "different"), ("b", "missing_on_first"), ("c", "missing_on_second"), ("f", "missing_on_first"),
    }  # fmt: skip
    assert {"name", "formula"} <= set(told["a", "different"] or ())

    mended = audited(two.manager(), repair=True)
    assert mended.equal
    assert mended.total("repaired") == 4
    assert contents(two.first) == contents(two.second)
    rows = {row["id"]: row["name"] for row in contents(two.first)["molecules"]}
    assert rows == {"a": "silent", "b": "b", "c": "c", "d": "d", "e": "e", "f": "f"}
    # What the side had agreed to, and did not have any more.
    with as_application():
        assert {entry["record_id"]: entry["rule"] for entry in journal(two.first, two.second)} == {
            "b": "forced", "c": "forced",
        }  # fmt: skip
    assert two.sync().get_sync_status()["tables"]["molecules"]["conflicts"] == 0
    assert audited(two.manager()).equal


def pair() -> Two:
    return Two(MemoryAdapter(), MemoryAdapter())


def test_a_change_that_sync_has_not_read_yet_is_no_difference() -> None:
    two = pair()
    insert(two.first, "a")
    insert(two.first, "b")
    manager = two.sync()
    change(two.first, "a", name="new")
    remove(two.second, "b")
    insert(two.second, "c")
    found = audited(manager)
    assert (found.differences, found.total("in_flight"), found.equal) == (0, 3, False)
    # Sync carries them over while the audit waits.
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert manager.sync_all()

    auditor = Auditor(manager.pair, Checkpoints(manager.pair), manager.tables, patience=60, pause=pause)
    assert auditor.run(go_on).equal
    assert len(pauses) == 1


def test_a_repair_leaves_a_deletion_in_flight_a_deletion() -> None:
    two = pair()
    insert(two.first, "a")
    manager = two.sync()
    remove(two.second, "a")
    assert audited(manager, repair=True).equal
    assert contents(two.first) == contents(two.second)
    assert contents(two.first)["molecules"] == []


def test_an_audit_goes_on_where_it_ended() -> None:
    two = pair()
    for name in "abcdef":
        insert(two.first, name)
    manager = two.sync()
    change(two.second, "b", name="silent")
    hide(manager)
    first = manager.auditor()
    assert not first.resume()
    assert not first.run(go_on, 4).complete
    # The differences before the end are known to the next process, too.
    later = two.manager().auditor()
    assert later.resume()
    found = later.run(go_on)
    assert (found.complete, found.total("compared"), found.total("different")) == (True, 6, 1)
    assert [one["id"] for one in found.shown] == ["b"]
    assert not two.manager().auditor().resume()


def test_an_audit_that_is_cut_is_repeated_from_the_last_position() -> None:
    two = pair()
    for name in "abcdef":
        insert(two.first, name)
    manager = two.sync()
    calls, times = count(), count(step=10.0)

    def cut() -> bool:
        if next(calls) == 1:
            raise Unavailable("cut")
        return False

    with pytest.raises(Unavailable):
        Auditor(manager.pair, Checkpoints(manager.pair), manager.tables, clock=lambda: next(times)).run(cut)
    again = two.manager().auditor()
    assert again.resume()
    assert again.status()["compared"] == 6
    found = again.run(go_on)
    assert (found.equal, found.total("compared")) == (True, 6)


@pytest.mark.parametrize("rows", [1, 2, 5, 6, 7])
def test_pages_of_any_size_find_the_same(rows: int) -> None:
    two = pair()
    for name in "acegik":
        insert(two.first, name)
    for name in "bceghl":
        insert(two.second, name)
    manager = two.manager()
    hide(manager)
    auditor = manager.auditor()
    while not (found := auditor.run(go_on, rows)).complete:
        auditor = two.manager().auditor()
        auditor.resume()
    assert (found.total("compared"), found.total("missing_on_first"), found.total("missing_on_second")) == (9, 3, 3)
    # Each of them has its own times.
    assert found.total("different") == 3


def test_an_unreadable_record_is_told(tmp_path: Any) -> None:
    path = tmp_path / "audited.db"
    two = Two(SQLiteAdapter({"path": path}), MemoryAdapter())
    runner.upgrade(two.first)
    insert(two.first, "a")
    insert(two.first, "b")
    manager = two.sync()
    other = apsw.Connection(str(path))
    other.execute("update molecules set created_at = 'not a time' where id = 'b'")
    other.close()
    hide(manager)
    found = audited(manager)
    assert (found.total("compared"), found.total("unreadable"), found.differences) == (2, 1, 1)
    assert found.shown[0]["id"] == "b"
    assert "created_at" in found.shown[0]["reason"]
    two.first.disconnect()


def test_cycles_audit_some_records_each() -> None:
    two = pair()
    for name in "abcde":
        insert(two.first, name)
    manager = two.manager(audit_rows=3)
    assert manager.get_sync_status()["audit"]["last"] is None
    assert manager.sync_all()
    assert manager.get_sync_status()["audit"]["compared"] == 3
    # A restart goes on.
    manager = two.manager(audit_rows=3)
    assert manager.sync_all()
    last = manager.get_sync_status()["audit"]["last"]
    assert (last["equal"], last["tables"]["molecules"]["compared"]) == (True, 5)


def test_the_number_of_audited_rows_is_checked() -> None:
    two = pair()
    checks: list[Callable[[], object]] = [lambda: two.manager(audit_rows=-1), lambda: two.manager(audit_rows="many")]
    for check in checks:
        with pytest.raises(Exception, match="audit_rows"):
            check()
