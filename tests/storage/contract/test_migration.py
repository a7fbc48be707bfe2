"""Entries come from every place into every other one as they are."""

from __future__ import annotations

from storage.backends.memory import MemoryEntries
from storage.core.store import Store
from storage.migration.copying import copy_entries
from tests.clocks import WallClock
from tests.storage.contract.test_keys import SOME
from tests.storage.migration.filled import fill_all
from tests.storage.migration.filled import hashes


def test_entries_arrive_and_come_back_as_they_were(store: Store, clock: WallClock) -> None:
    dimensions = store.capabilities.dimensions
    first, last = (Store(MemoryEntries(dimensions=dimensions), clock=clock) for _ in range(2))
    fill_all(first, [*SOME, *(f"key {number:02}" for number in range(30))])
    store.put("its own", 1)
    there = copy_entries(first, store, clock=clock)
    assert (there.moved, there.same, there.others, there.left) == (first.count(), 0, 1, {})
    assert store.entry("key 03").value == first.entry("key 03").value
    back = copy_entries(store, last, clock=clock)
    assert (back.moved, back.left) == (there.moved + 1, {})
    assert {**hashes(last), "its own": b""} == {**hashes(first), "its own": b""}
    again = copy_entries(first, store, clock=clock)
    assert (again.moved, again.same, again.left) == (0, there.moved, {})
