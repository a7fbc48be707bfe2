"""What is kept in memory takes about the room that it needs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest

from database.backends.memory import MemoryAdapter
from database.core.kinds.json_texts import compact
from database.core.operations import Insert
from storage import MemoryEntries
from storage import Store
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing

MANY = 500


def _store_entries() -> object:
    store = Store(MemoryEntries())
    for number in range(MANY):
        store.put(str(number), {"number": number})
    return store


def _insert_documents() -> object:
    adapter = MemoryAdapter({}, SCHEMA)
    adapter.run(Insert("things", [thing(str(number), data={"number": number}) for number in range(MANY)]))
    return adapter


@pytest.mark.parametrize("keep", [_store_entries, _insert_documents])
def test_a_small_document_takes_less_than_two_kilobytes(keep: Callable[[], object]) -> None:
    keep()  # what is made once for all does not count
    tracemalloc.start()
    try:
        kept = keep()
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept is not None
    assert used / MANY < 2048


def test_a_long_text_is_not_copied() -> None:
    short, long = b"{}", b"[" + b"0," * 40_000 + b"0]"
    assert compact(long) is long
    assert compact(short) == short
    assert compact(short) is not short
