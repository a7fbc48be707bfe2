"""Memory: its size is limited, and many threads may use it."""

from __future__ import annotations

import pytest

from database.core.context import as_application
from storage import MemoryEntries
from storage import Store
from storage.core.errors import StorageTimeoutError


def test_the_entry_that_was_unused_for_longest_gives_way() -> None:
    store = Store(MemoryEntries(most_entries=3))
    for key in "abc":
        store.put(key, key)
    store.load("a")
    store.put("d", "d")
    assert list(store.keys()) == ["a", "c", "d"]
    store.put("c", "again")
    store.put("e", "e")
    assert list(store.keys()) == ["c", "d", "e"]


def test_the_bytes_of_all_entries_are_limited() -> None:
    backend = MemoryEntries(most_bytes=50_000)
    store = Store(backend)
    for number in range(100):
        store.put(f"{number:03}", b"x" * 1_000)
    kept = list(store.keys())
    assert 20 < len(kept) < 50
    assert kept == [f"{number:03}" for number in range(100 - len(kept), 100)]
    for key in kept:
        store.delete(key)
    assert backend.describe() == {"entries": 0, "bytes": 0, "most_bytes": 50_000}


def test_keys_stay_in_order_however_they_come_and_go() -> None:
    store = Store(MemoryEntries())
    kept: set[str] = set()
    for turn in range(2_000):
        key = f"{turn * 7919 % 500:03}"
        if turn % 3:
            store.put(key, turn)
            kept.add(key)
        else:
            assert store.delete(key) is (key in kept)
            kept.discard(key)
        if turn % 97 == 0:
            assert list(store.keys()) == sorted(kept)
    assert list(store.keys()) == sorted(kept)


def test_a_deadline_that_has_passed_holds_without_limits_of_its_own() -> None:
    store = Store(MemoryEntries())
    with as_application(within=-1), pytest.raises(StorageTimeoutError):
        store.put("key", 1)
    assert store.get("key") is None
    pipeline = store.snapshot()["pipeline"]
    assert pipeline is not None
    assert pipeline["in_flight"] is None
