"""Conflicts that wait for a decision."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import as_application
from database.core.errors import Conflict
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.operations import Delete
from database.core.operations import Update
from database.core.query.filters import Where
from database.sync import SyncManager
from tests.integration.sync.conftest import Two
from tests.integration.sync.support import Killed
from tests.integration.sync.support import MortalMemory
from tests.integration.sync.support import contents
from tests.integration.sync.support import insert
from tests.integration.sync.support import journal


def edit(adapter: DatabaseAdapter, name: str, record: str = "a") -> None:
    with as_application():
        adapter.run(Update("molecules", {"name": name}, id=record))


def names(adapter: DatabaseAdapter) -> dict[str, str]:
    return {row["id"]: row["name"] for row in contents(adapter)["molecules"]}


@pytest.fixture
def pair(two: Two) -> Two:
    """Two databases in conflict about one record."""
    insert(two.first, "a", name="agreed")
    insert(two.first, "b", name="agreed")
    two.sync(conflict_resolution="manual")
    edit(two.first, "ours")
    edit(two.second, "theirs")
    return two


def test_a_conflict_waits_and_stops_no_other_record(pair: Two) -> None:
    edit(pair.second, "new", "b")
    manager = pair.sync(conflict_resolution="manual")
    assert names(pair.first) == {"a": "ours", "b": "new"}
    assert names(pair.second) == {"a": "theirs", "b": "new"}
    (found,) = manager.get_conflicts()
    assert (found.state, found.table, found.record, found.result) == ("open", "molecules", "a", None)
    assert [row and row["name"] for row in (found.base, found.first, found.second)] == ["agreed", "ours", "theirs"]
    assert (found.first_name, found.second_name) == (pair.first.name, pair.second.name)
    status = manager.get_sync_status()
    assert (status["open_conflicts"], status["failures"]) == (1, [])
    # Another process finds the same one.
    assert pair.sync(conflict_resolution="manual").get_conflicts() == [found]


@pytest.mark.parametrize(
    ("decision", "expected"), [("first", "ours"), ("second", "theirs"), ({"name": "both"}, "both"), (None, None)]
)
def test_a_decision_is_carried_out_and_is_in_the_journal(pair: Two, decision: Any, expected: str | None) -> None:
    (found,) = pair.sync(conflict_resolution="manual").get_conflicts()
    manager = pair.manager(conflict_resolution="manual")
    manager.resolve_conflict(found.id, decision)
    assert names(pair.first) == names(pair.second)
    assert names(pair.first).get("a") == expected
    (entry,) = manager.get_conflicts()
    assert (entry.state, entry.rule, entry.first, entry.second) == ("resolved", "manual", found.first, found.second)
    assert (entry.result and entry.result["name"]) == expected
    with pytest.raises(NotFound, match="has been resolved, or its record has changed"):
        manager.resolve_conflict(found.id, "first")
    assert manager.sync_all()
    assert contents(pair.first) == contents(pair.second)


@pytest.mark.parametrize("two", ["sqlite-supabase", "sqlite-convex"], indirect=True)
def test_rows_are_merged_whoever_has_changed_them(two: Two) -> None:
    for record in "ab":
        insert(two.first, record, name="agreed", formula="H", properties={"n": 1})
    two.sync()
    with as_application():
        two.first.execute_query("update molecules set name = 'ours' where id = 'a'")
        two.second.run(Update("molecules", {"formula": "H2O", "properties": {"n": 2}}, id="a"))
        two.first.run(Update("molecules", {"name": "x", "formula": "y"}, id="b"))
        two.second.run(Delete("molecules", id="b"))
    two.sync(conflict_resolution="merge", conflict_deletes="update_wins")
    assert contents(two.first) == contents(two.second)
    rows = {row["id"]: row for row in contents(two.second)["molecules"]}
    assert [rows["a"][name] for name in ("name", "formula", "properties")] == ["ours", "H2O", {"n": 2}]
    assert rows["a"]["version"] > 2
    assert rows["b"]["name"] == "x"
    assert {entry["rule"] for entry in journal(two.first, two.second)} == {"merge", "update_wins"}


# In memory


@pytest.fixture
def first() -> MemoryAdapter:
    return MemoryAdapter(name="first")


@pytest.fixture
def second() -> MemoryAdapter:
    return MemoryAdapter(name="second")


@pytest.fixture
def manager(first: MemoryAdapter, second: MemoryAdapter) -> SyncManager:
    manager = SyncManager(first, second, conflict_resolution="manual")
    insert(first, "a", name="agreed", formula="H")
    assert manager.sync_all()
    edit(first, "ours")
    edit(second, "theirs")
    assert manager.sync_all()
    return manager


def test_a_decision_is_about_what_was_seen(manager: SyncManager, first: MemoryAdapter, second: MemoryAdapter) -> None:
    (seen,) = manager.get_conflicts()
    edit(second, "later")
    with pytest.raises(Conflict, match="has changed since"):
        manager.resolve_conflict(seen.id, "first")
    assert (names(first), names(second)) == ({"a": "ours"}, {"a": "later"})
    assert manager.sync_all()
    (now,) = manager.get_conflicts()
    assert now.id != seen.id
    assert now.second is not None
    assert now.second["name"] == "later"
    with pytest.raises(NotFound):
        manager.resolve_conflict(seen.id, "first")


@pytest.mark.parametrize("life", range(4))
def test_a_process_that_is_killed_leaves_one_conflict_of_a_record(life: int) -> None:
    first, second = MortalMemory(name="supabase"), MortalMemory(name="convex")
    manager = SyncManager(first, second, conflict_resolution="manual")
    insert(first, "a")
    assert manager.sync_all()
    for name in ("other", "another"):
        first.run(Update("molecules", {"name": "one"}, id="a"))
        second.run(Update("molecules", {"name": name}, id="a"))
        first.backend.life = life if name == "another" else None
        with suppress(Killed):
            manager.sync_all()
    first.backend.life = None
    again = SyncManager(first, second, conflict_resolution="manual")
    assert again.sync_all()
    (waiting,) = again.get_conflicts(state="open")
    again.resolve_conflict(waiting.id, "second")
    assert contents(first) == contents(second)


def test_a_decided_row_says_what_differs(manager: SyncManager, first: MemoryAdapter) -> None:
    (found,) = manager.get_conflicts()
    wrong: Mapping[str, Any]
    for wrong, problem in (
        ({"formula": "X"}, "must have a value for name"),
        ({"name": 5}, "name"),
        ({"name": "x", "colour": "red"}, "colour"),
        ({"name": "x", "id": "b"}, "must not change the key"),
    ):
        with pytest.raises(InvalidQuery, match=problem):
            manager.resolve_conflict(found.id, wrong)
    with pytest.raises(InvalidQuery, match="must be first or second"):
        manager.resolve_conflict(found.id, "third")  # type: ignore[arg-type]
    manager.resolve_conflict(found.id, {"name": "both"})
    assert first.get("molecules", "a", ("name", "formula", "version")) == {"name": "both", "formula": "H", "version": 3}


def test_an_open_conflict_is_written_once(manager: SyncManager, first: MemoryAdapter) -> None:
    cursor = first.changes(None, 10).cursor
    (found,) = manager.get_conflicts()
    assert manager.sync_all()
    assert SyncManager(first, manager.pair.sides[1].adapter, conflict_resolution="manual").sync_all()
    assert manager.get_conflicts() == [found]
    assert first.changes(cursor, 10).changes == ()


def test_another_strategy_resolves_what_waits(
    manager: SyncManager, first: MemoryAdapter, second: MemoryAdapter
) -> None:
    assert SyncManager(first, second, conflict_resolution="second_wins").sync_all()
    assert names(first) == names(second) == {"a": "theirs"}
    assert [one.state for one in manager.get_conflicts()] == ["resolved"]


def test_a_forced_record_waits_no_longer(manager: SyncManager, first: MemoryAdapter, second: MemoryAdapter) -> None:
    assert not manager.force_sync_record("molecules", "a")
    assert manager.force_sync_record("molecules", "a", "second")
    assert names(first) == names(second) == {"a": "ours"}
    assert [(one.state, one.rule) for one in manager.get_conflicts()] == [("resolved", "forced")]


def test_sides_that_become_equal_by_themselves_are_no_conflict(
    manager: SyncManager, first: MemoryAdapter, second: MemoryAdapter
) -> None:
    for side in (first, second):
        side.run(Delete("molecules", id="a"))
    assert manager.sync_all()
    assert manager.get_conflicts() == []
    assert manager.get_sync_status()["open_conflicts"] == 0


def test_a_restore_that_ends_a_conflict_ends_its_waiting(
    manager: SyncManager, first: MemoryAdapter, second: MemoryAdapter
) -> None:
    second.run(Delete("isthmus_sync_cursors", where=Where("id", "neq", "")))
    second.run(Delete("isthmus_sync_records", where=Where("id", "neq", "")))
    second.run(Delete("molecules", id="a"))
    assert manager.sync_all()
    assert names(first) == names(second) == {"a": "ours"}
    assert manager.get_conflicts() == []
    assert manager.get_sync_status()["open_conflicts"] == 0


def test_a_conflict_that_a_restore_has_forgotten_is_listed_again(manager: SyncManager, first: MemoryAdapter) -> None:
    (found,) = manager.get_conflicts()
    first.run(Delete("isthmus_sync_cursors", where=Where("id", "neq", "")))
    first.run(Delete("isthmus_sync_conflicts", where=Where("id", "neq", "")))
    assert manager.sync_all()
    assert [one.id for one in manager.get_conflicts()] == [found.id]


def test_a_deletion_can_wait_where_edits_do_not(first: MemoryAdapter, second: MemoryAdapter) -> None:
    manager = SyncManager(first, second, conflict_deletes={"molecules": "manual"})
    for record in "ab":
        insert(first, record)
    assert manager.sync_all()
    for record in "ab":
        edit(first, "ours", record)
    second.run(Delete("molecules", id="a"))
    edit(second, "theirs", "b")
    assert manager.sync_all()
    assert (names(first), names(second)) == ({"a": "ours", "b": "theirs"}, {"b": "theirs"})
    (found,) = manager.get_conflicts(state="open")
    assert found.second is None
    manager.resolve_conflict(found.id, "second")
    assert names(first) == names(second) == {"b": "theirs"}
    assert journal(first, second)[0]["rule"] == "last_modified"


def test_each_table_has_its_strategy(first: MemoryAdapter, second: MemoryAdapter) -> None:
    manager = SyncManager(first, second, conflict_resolution="merge,protocols=manual")
    insert(first, "a", name="agreed")
    insert(first, "p", "protocols", name="agreed")
    assert manager.sync_all()
    first.run(Update("molecules", {"name": "ours"}, id="a"))
    second.run(Update("molecules", {"formula": "H2O"}, id="a"))
    for side, name in ((first, "ours"), (second, "theirs")):
        side.run(Update("protocols", {"name": name}, id="p"))
    assert manager.sync_all()
    assert first.get("molecules", "a", ("name", "formula")) == {"name": "ours", "formula": "H2O"}
    assert [(one.table, one.state) for one in manager.get_conflicts()] == [
        ("protocols", "open"),
        ("molecules", "resolved"),
    ]
    assert [one.table for one in manager.get_conflicts("molecules")] == ["molecules"]
    assert [one.table for one in manager.get_conflicts(limit=1)] == ["protocols"]
