"""A time to live: what has expired counts as deleted."""

from __future__ import annotations

from datetime import timedelta

import pytest

from storage.core.errors import StorageConflictError
from storage.core.store import Store
from tests.clocks import WallClock


def test_an_entry_lives_as_long_as_it_may(store: Store, clock: WallClock) -> None:
    put = store.put("key", 1, ttl=60)
    assert put.expires_at == clock() + timedelta(seconds=60)
    clock.advance(59)
    assert store.load("key") == 1
    assert store.entry("key").expires_at == put.expires_at
    clock.advance(1)
    assert store.get("key") is None
    assert not store.exists("key")
    assert store.page().entries == []
    assert list(store.keys()) == []
    assert store.find({"key": "key"}) == []
    assert store.count() == 0
    assert store.delete("key") is False


def test_an_expired_entry_is_none_for_conditions(store: Store, clock: WallClock) -> None:
    first = store.put("key", 1, ttl=timedelta(minutes=1))
    with pytest.raises(StorageConflictError):
        store.put("key", 2, if_absent=True)
    clock.advance(61)
    with pytest.raises(StorageConflictError):
        store.put("key", 2, expected=first.etag)
    store.put("key", 3, if_absent=True)
    assert store.load("key") == 3
    assert store.entry("key").expires_at is None


def test_a_put_begins_the_time_anew(store: Store, clock: WallClock) -> None:
    store.put("key", 1, ttl=10)
    clock.advance(8)
    store.put("key", 2, ttl=10)
    clock.advance(8)
    assert store.load("key") == 2
    store.put("key", 3)
    clock.advance(1_000_000)
    assert store.load("key") == 3


def test_a_sweep_deletes_what_has_expired(store: Store, clock: WallClock) -> None:
    for number in range(3):
        store.put(f"short{number}", number, ttl=1 + number)
    store.put("stays", 1)
    clock.advance(2)
    assert list(store.keys()) == ["short2", "stays"]
    assert store.sweep() == 2
    assert store.sweep() == 0
    assert list(store.keys()) == ["short2", "stays"]


def test_expired_entries_leave_no_gap_in_a_page(store: Store, clock: WallClock) -> None:
    for number in range(11):
        store.put(f"{number:02}", number, ttl=1 if number % 2 else None)
    clock.advance(2)
    page = store.page(limit=3)
    assert [entry.key for entry in page.entries] == ["00", "02", "04"]
    page = store.page(cursor=page.next_cursor, limit=3)
    assert [entry.key for entry in page.entries] == ["06", "08", "10"]
    assert page.next_cursor is None


def test_a_prefix_with_expired_entries_is_cleared(store: Store, clock: WallClock) -> None:
    store.put("a1", 1, ttl=1)
    store.put("a2", 2)
    store.put("b", 3, ttl=1)
    clock.advance(2)
    assert store.clear("a") == 1
    assert store.sweep() == 1
