"""Transactions of a data manager: all writes, or what was there before."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import Literal

import pytest

from database import internal_tables
from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.core.clock import utc_now
from database.core.tables.schema import Schema
from storage import DataManager
from storage import MemoryEntries
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageNotFoundError
from storage import StorageOutcomeUnknown
from storage import StorageRollbackError
from storage import Store
from storage import TableEntries
from tests.storage.manager.test_manager import Custom


class Failed(Exception):
    pass


class Outcome:
    """The exception of a block."""

    error: BaseException | None = None


@contextmanager
def failing(dm: DataManager, error: type[Exception] = Failed) -> Iterator[Outcome]:
    """A transaction that fails at its end, or before; the exception is that which is expected."""
    outcome = Outcome()
    try:
        with dm.transaction():
            yield outcome
            raise Failed
    except error as found:
        outcome.error = found
    else:
        pytest.fail("the transaction did not fail")


def meanwhile(dm: DataManager, data: Any, key: str) -> None:
    """Somebody else stores something."""
    thread = threading.Thread(target=lambda: dm.store(data, "first", key))
    thread.start()
    thread.join()


def contents(dm: DataManager) -> dict[str, Any]:
    return {name: dm.query(name, {}) for name in ("first", "second")}


def test_all_writes_happen(dm: DataManager) -> None:
    dm.store(0, "first", "old")
    with dm.transaction() as transaction:
        one = dm.store(1, "first", "one")
        two = dm.store(2, "second")
        dm.delete_by_key("first", "old")
    assert transaction.references == [one, two]
    assert contents(dm) == {"first": [1], "second": [2]}


def test_what_was_there_is_put_back(dm: DataManager) -> None:
    store = Store(MemoryEntries())
    dm.register_provider("store", store)
    store.put("old", b"bytes", metadata={"a": [1]}, media_type="image/png", ttl=1000)
    store.put("deleted", {"b": 1})
    before = store.entry("old")
    with failing(dm):
        dm.store(1, "store", "old")
        dm.store(2, "store", "new")
        dm.store(3, "store", "new")
        assert dm.delete_by_key("store", "deleted") is True
        assert dm.delete_by_key("store", "missing") is False
        dm.store(4, "store", "deleted")
        dm.delete_by_key("store", "old")
    after = store.entry("old")
    assert (after.value, after.media_type, after.metadata) == (b"bytes", "image/png", {"a": [1]})
    assert before.expires_at is not None
    assert after.expires_at is not None
    assert abs((after.expires_at - before.expires_at).total_seconds()) < 1
    assert store.load("deleted") == {"b": 1}
    assert list(store.keys()) == ["deleted", "old"]


def test_what_has_expired_in_the_meantime_is_not_put_back(dm: DataManager) -> None:
    store = Store(MemoryEntries())
    dm.register_provider("store", store)
    expires_at = store.put("key", 1, ttl=0.05).expires_at
    assert expires_at is not None
    with failing(dm):
        dm.store(2, "store", "key")
        while utc_now() <= expires_at:
            pass
    assert not store.exists("key")


def test_a_failed_provider_undoes_the_others(dm: DataManager) -> None:
    dm.store("before", "first", "key")
    with failing(dm, StorageConfigurationError):
        dm.store("after", "first", "key")
        dm.store("after", "no such provider")
    assert dm.retrieve_by_key("first", "key") == "before"


def test_a_write_of_somebody_else_stays(dm: DataManager) -> None:
    dm.store("before", "first", "key")
    dm.store("before", "first", "other")
    with failing(dm, StorageRollbackError) as outcome:
        dm.store("after", "first", "other")
        mine = dm.store("mine", "first", "key")
        meanwhile(dm, "theirs", "key")
    assert isinstance(outcome.error, StorageRollbackError)
    assert isinstance(outcome.error.__cause__, Failed)
    assert list(outcome.error.left) == [mine]
    assert "'key' in 'first'" in str(outcome.error)
    assert dm.retrieve_by_key("first", "key") == "theirs"
    assert dm.retrieve_by_key("first", "other") == "before"


def test_a_write_over_that_of_somebody_else_is_refused(dm: DataManager) -> None:
    with failing(dm, StorageRollbackError) as outcome:
        dm.store("mine", "first", "key")
        meanwhile(dm, "theirs", "key")
        dm.store("mine again", "first", "key")
    assert outcome.error is not None
    assert isinstance(outcome.error.__cause__, StorageConflictError)
    assert dm.retrieve_by_key("first", "key") == "theirs"


def test_conditions_hold_inside(dm: DataManager) -> None:
    first = dm.store(1, "first", "key")
    with dm.transaction():
        second = dm.store(2, "first", "key", expected=first.version)
        dm.store(3, "first", "key", expected=second.version)
        with pytest.raises(StorageConflictError):
            dm.store(4, "first", "key", expected=first.version)
        with pytest.raises(StorageConflictError):
            dm.store(4, "first", "key", if_absent=True)
    assert dm.retrieve(first) == 3


def test_a_transaction_inside_is_undone_alone(dm: DataManager) -> None:
    dm.store(0, "first", "key")
    with failing(dm):
        dm.store(1, "first", "key")
        with failing(dm):
            dm.store(2, "first", "key")
            dm.store(2, "first", "inner")
        assert dm.retrieve_by_key("first", "key") == 1
        with dm.transaction():
            dm.store(3, "first", "key")
            dm.store(3, "first", "inner")
        assert dm.retrieve_by_key("first", "key") == 3
    assert contents(dm) == {"first": [0], "second": []}


@pytest.fixture
def faulty(dm: DataManager) -> Iterator[FaultyAdapter]:
    adapter = FaultyAdapter(MemoryAdapter(schema=Schema.of(internal_tables.metadata)), config={"retry_count": 0})
    dm.register_provider("faulty", Store(TableEntries(adapter)))
    yield adapter
    adapter.disconnect()


@pytest.mark.parametrize("before", [None, "before"])
@pytest.mark.parametrize("fault", ["cut", "error_after_commit"])
def test_a_write_whose_outcome_is_unknown_is_undone_if_it_happened(
    dm: DataManager, faulty: FaultyAdapter, before: str | None, fault: Literal["cut", "error_after_commit"]
) -> None:
    if before is not None:
        dm.store(before, "faulty", "key")
    dm.store(1, "first", "other")
    with failing(dm, StorageOutcomeUnknown):
        dm.store(2, "first", "other")
        faulty.faults.next(fault, "error_after_commit", skip=1)
        # Neither the write is answered, nor the question whether it happened.
        dm.store(("after",), "faulty", "key")
    assert dm.query("faulty", {}) == ([] if before is None else [before])
    assert dm.retrieve_by_key("first", "other") == 1


def test_what_cannot_be_undone_is_named(
    dm: DataManager, faulty: FaultyAdapter, caplog: pytest.LogCaptureFixture
) -> None:
    with failing(dm, StorageRollbackError) as outcome:
        dm.store(1, "first", "other")
        reference = dm.store(2, "faulty", "key")
        faulty.faults.next("refuse")
    assert isinstance(outcome.error, StorageRollbackError)
    assert list(outcome.error.left) == [reference]
    assert "could not be undone" in caplog.text
    assert dm.retrieve(reference) == 2
    with pytest.raises(StorageNotFoundError):
        dm.retrieve_by_key("first", "other")


def test_a_provider_with_the_least_is_undone_too(dm: DataManager) -> None:
    custom = Custom()
    dm.register_provider("custom", custom)
    dm.store("before", "custom", "key")
    with failing(dm):
        dm.store("after", "custom", "key")
        dm.store("new", "custom", "new")
    assert custom.kept == {"key": "before"}
