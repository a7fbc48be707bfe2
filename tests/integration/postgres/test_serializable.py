"""What a serialization failure is, wherever it comes: nothing was applied, and it is never in doubt."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import psycopg
import pytest

from database.adapter.transactions import Transaction
from database.backends.postgres import PostgresAdapter
from database.core.context import NO_CONTEXT
from database.core.errors import Conflict
from database.core.errors import Outcome
from database.core.errors import SerializationFailure
from database.core.operations import Batch
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from tests.contract.tables import thing
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase

PATIENCE = 20  # seconds after which a test that hangs fails


@pytest.fixture
def adapter(make: Make, database: PostgresDatabase) -> PostgresAdapter:
    adapter = make(database)
    adapter.run(Insert("things", [thing("a"), thing("b")]))
    return adapter


def skewed(adapter: PostgresAdapter) -> tuple[Transaction, Transaction]:
    """Two transactions that have read the same and changed what the other one has read."""
    both = adapter.begin_transaction(), adapter.begin_transaction()
    for one in both:
        for name in "ab":
            one.execute(Get("things", name), NO_CONTEXT)
    for one, name in zip(both, "ab", strict=True):
        one.execute(Update("things", {"rank": 1}, name), NO_CONTEXT)
    return both


def test_a_commit_that_fails_has_applied_nothing(adapter: PostgresAdapter) -> None:
    first, second = skewed(adapter)
    first.commit()
    with pytest.raises(SerializationFailure) as failed:
        second.commit()
    assert isinstance(failed.value.__cause__, psycopg.errors.SerializationFailure)
    assert (failed.value.outcome, second.state) == (Outcome.NOT_APPLIED, "rolled_back")
    assert [row["rank"] for row in adapter.table("things").order("id").execute()] == [1, 0]
    assert adapter.get_connection_info()["circuit_state"] == "closed"


def test_an_operation_that_fails_and_is_caught_keeps_the_transaction_from_its_commit(adapter: PostgresAdapter) -> None:
    first, second = skewed(adapter)
    first.commit()
    with pytest.raises(SerializationFailure):
        second.execute(Update("things", {"rank": 2}, "a"), NO_CONTEXT)
    with pytest.raises(SerializationFailure):
        second.commit()
    assert second.state == "rolled_back"


@pytest.mark.parametrize("operation", [Update("things", {"rank": 7}, "a"), Get("things", "a", lock=True)], ids=repr)
def test_the_first_operation_waits_and_then_sees_what_the_other_one_has_left(
    database: PostgresDatabase, adapter: PostgresAdapter, operation: Operation
) -> None:
    """Nobody has been told anything of the transaction yet, so it begins anew by itself."""
    with psycopg.connect(database.dsn) as direct, ThreadPoolExecutor(1) as pool:
        direct.execute("update things set rank = 5, version = version + 1 where id = 'a'")
        transaction = adapter.begin_transaction()
        asked = pool.submit(transaction.execute, operation, NO_CONTEXT)
        wait_for_a_waiter(database)
        direct.commit()
        found = asked.result().first or {}
    assert found["version"] == (3 if isinstance(operation, Update) else 2)
    transaction.commit()


def wait_for_a_waiter(database: PostgresDatabase) -> None:
    """Return when somebody waits for a lock."""
    until = monotonic() + PATIENCE
    with psycopg.connect(database.dsn, autocommit=True) as outside:
        while not outside.execute("select 1 from pg_locks where not granted").fetchall():
            assert monotonic() < until


@pytest.mark.parametrize("isolation", ["serializable", "read committed"])
def test_the_rows_and_their_number_are_of_one_moment(make: Make, database: PostgresDatabase, isolation: str) -> None:
    adapter = make(database, isolation=isolation)
    query = Select("things", ("id",), count=True)

    def write(number: int) -> None:
        for turn in range(40):
            adapter.run(Insert("things", [thing(f"{number}-{turn}")]))

    with ThreadPoolExecutor(2) as pool:
        writing = [pool.submit(write, number) for number in range(2)]
        while not all(one.done() for one in writing):
            for found in (adapter.run(query), *adapter.run(Batch((query, query))).parts):
                assert found.count == len(found)
        for one in writing:
            one.result()


def test_a_record_that_is_not_of_the_expected_version_is_told_from_one_that_is_gone(adapter: PostgresAdapter) -> None:
    with pytest.raises(Conflict, match="version 1, not 7") as refused:
        adapter.run(Update("things", {"rank": 1}, "a", expected_version=7))
    assert not isinstance(refused.value, SerializationFailure)
    assert adapter.run(Update("things", {"rank": 1}, "z", expected_version=7)).count == 0
