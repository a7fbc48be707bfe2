"""The entries of stores in sync and in a move: values, etags and deletions are the same on both sides."""

from __future__ import annotations

from typing import Any

import pytest

from config.settings import ConfigurationError
from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from database.core.operations import Insert
from database.internal_tables import ENTRIES
from database.sync import SyncManager
from storage import Entry
from storage import Store
from storage import TableEntries
from tests.integration.sync.conftest import Two

TABLES = ("molecules", ENTRIES)


def of(adapter: DatabaseAdapter) -> Store:
    return Store(TableEntries(adapter, "synced"))


def held(store: Store) -> dict[str, Entry]:
    return {entry.key: entry for entry in store.find({}, limit=1_000)}


def same(two: Two) -> dict[str, Any]:
    first, second = held(of(two.first)), held(of(two.second))
    assert first == second
    return {key: entry.value for key, entry in first.items()}


def test_entries_are_carried_over_in_both_directions(two: Two) -> None:
    first, second = of(two.first), of(two.second)
    etag = first.put("a", {"$type": "mine", "deep": [1.5, None]}, metadata={"tags": ["x"]}, ttl=3600).etag
    second.put("b\0/é", b"\0\xff" * 1_000, media_type="image/png")
    second.put("gone", 1)
    manager = two.sync(sync_tables=TABLES)
    assert same(two) == {"a": {"$type": "mine", "deep": [1.5, None]}, "b\0/é": b"\0\xff" * 1_000, "gone": 1}
    second.put("a", 2, expected=etag)
    first.put("b\0/é", "changed")
    assert first.delete("gone")
    first.put("new", 3)
    assert manager.sync_all(), manager.get_sync_status()
    assert same(two) == {"a": 2, "b\0/é": "changed", "new": 3}
    # What was deleted does not come back, in a new process either.
    two.sync(sync_tables=TABLES)
    assert set(same(two)) == {"a", "b\0/é", "new"}


def test_a_feed_tells_of_no_internal_table(two: Two) -> None:
    for side in (two.first, two.second):
        side.run(Insert("molecules", [{"id": "before", "name": "Ice"}]))
    begun = [(side, side.changes().cursor) for side in (two.first, two.second)]
    of(two.first).put("a", 1)
    two.first.run(Insert("molecules", [{"id": "m", "name": "Water"}]))
    two.sync(sync_tables=TABLES)
    # Not of the entry, the bases and the checkpoints, which sync has stored on both sides.
    for side, cursor in begun:
        assert {change.table for change in side.changes(cursor).changes} == {"molecules"}, side.name


def test_of_two_changes_the_later_one_stays_as_a_whole(two: Two) -> None:
    of(two.first).put("a", 0, metadata={"n": 0})
    two.sync(sync_tables=TABLES)
    of(two.first).put("a", {"by": "first"}, metadata={"n": 1})
    later = of(two.second).put("a", {"by": "second"}, metadata={"n": 2})
    # No other strategy applies to entries unless it is named for them.
    two.sync(sync_tables=TABLES, conflict_resolution="merge")
    assert same(two) == {"a": {"by": "second"}}
    entry = of(two.first).entry("a")
    assert (entry.etag, entry.metadata) == (later.etag, {"n": 2})


@pytest.mark.parametrize("two", ["sqlite-convex"], indirect=True)
def test_an_entry_that_a_side_cannot_take_is_a_failure(two: Two) -> None:
    of(two.first).put("whole", b"\xff" * (700 << 10))
    two.sync(sync_tables=TABLES)
    # What both sides agree on is kept as text, in which each of these is two characters.
    of(two.first).put("quotes", '"' * (340 << 10))
    manager = two.manager(sync_tables=TABLES)
    assert not manager.sync_all()
    (failure,) = manager.get_sync_status()["failures"]
    assert "Convex allows 1 MiB" in failure["reason"]
    assert set(held(of(two.second))) == {"whole"}


def test_entries_are_not_merged(two: Two) -> None:
    with pytest.raises(ConfigurationError, match="cannot be merged column by column"):
        two.manager(sync_tables=TABLES, conflict_resolution=f"last_modified,{ENTRIES}=merge")


def test_entries_are_synced_only_if_they_are_named(two: Two) -> None:
    of(two.first).put("a", 1)
    manager: SyncManager = two.sync()
    assert ENTRIES not in manager.tables
    with as_application():
        assert held(of(two.second)) == {}
