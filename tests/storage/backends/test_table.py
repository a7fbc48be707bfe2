"""Tables: what becomes of a write whose answer is lost, and rows that somebody else has spoiled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from database import internal_tables
from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import as_application
from database.core.tables.schema import Schema
from storage import StorageConflictError
from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageOutcomeUnknown
from storage import Store
from storage.backends.table import TABLE
from storage.backends.table import TableEntries


@pytest.fixture
def adapter() -> Iterator[FaultyAdapter]:
    made = FaultyAdapter(MemoryAdapter(schema=Schema.of(internal_tables.metadata)), config={"retry_count": 0})
    yield made
    made.disconnect()


@pytest.fixture
def store(adapter: FaultyAdapter) -> Store:
    return Store(TableEntries(adapter))


def test_a_put_whose_answer_was_lost_is_looked_up(store: Store, adapter: FaultyAdapter) -> None:
    with adapter.faults.expected("error_after_commit"):
        first = store.put("key", 1)
    with adapter.faults.expected("error_after_commit"):
        second = store.put("key", 2, expected=first.etag)
    with adapter.faults.expected("error_after_commit"):
        store.put("new", 3, if_absent=True)
    assert store.entry("key").etag == second.etag
    assert (store.load("key"), store.load("new")) == (2, 3)


def test_a_put_that_cannot_be_looked_up_stays_unknown(store: Store, adapter: FaultyAdapter) -> None:
    with adapter.faults.expected("error_after_commit", "refuse"), pytest.raises(StorageOutcomeUnknown):
        store.put("key", 1)
    assert store.load("key") == 1


def test_a_put_that_was_cut_is_not_there(store: Store, adapter: FaultyAdapter) -> None:
    store.put("key", 1)
    with adapter.faults.expected("cut"), pytest.raises(StorageOutcomeUnknown):
        store.put("key", 2)
    assert store.load("key") == 1
    with adapter.faults.expected("refuse"), pytest.raises(StorageConnectionError):
        store.load("key")


def test_a_deletion_under_a_condition_is_not_repeated(store: Store, adapter: FaultyAdapter) -> None:
    etag = store.put("key", 1).etag
    with adapter.faults.expected("error_after_commit"), pytest.raises(StorageOutcomeUnknown):
        store.delete("key", expected=etag)
    with pytest.raises(StorageConflictError):
        store.delete("key", expected=etag)


@pytest.mark.parametrize(("column", "text"), [("body", "{"), ("headers", "{"), ("metadata", "["), ("body", "")])
def test_a_spoiled_row_costs_its_own_entry_only(
    store: Store, adapter: FaultyAdapter, column: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    for key in "abc":
        store.put(key, key)
    with as_application():
        adapter.table(TABLE).update({column: text}).eq("key", "b").execute()
    with pytest.raises(StorageCorruptError, match="'b'"):
        store.load("b")
    assert [entry.key for entry in store.find({})] == ["a", "c"]
    assert "'b'" in caplog.text
    assert list(store.keys()) == ["a", "b", "c"]
    store.put("b", "again")
    assert store.load("b") == "again"


def test_two_stores_in_one_table_do_not_meet(adapter: FaultyAdapter) -> None:
    one, other = Store(TableEntries(adapter, "one")), Store(TableEntries(adapter, "other"))
    one.put("key", 1)
    other.put("key", 2, if_absent=True)
    assert one.clear() == 1
    assert other.load("key") == 2
