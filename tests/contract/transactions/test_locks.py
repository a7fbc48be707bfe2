"""``lock=True`` on reads in a transaction: waits on backends with locks, and is refused before it is sent on others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import acting_as
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Batch
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import Where
from tests.contract.callers import ADA
from tests.contract.callers import begin_diaries
from tests.contract.callers import caller
from tests.contract.tables import thing

LOCKS: list[Operation] = [
    Get("things", "a", lock=True),
    Get("things", "a", ("rank",), lock=True),
    Select("things", where=Where("id", "eq", "a"), limit=1, lock=True),
    Select("things", where=Where("id", "eq", "a"), count=True, lock=True),
    Batch((Get("things", "a", lock=True), Select("things", where=Where("id", "in", ["a"]), lock=True))),
]

THREADS = 4
ROUNDS = 5


@pytest.fixture(autouse=True)
def _one_thing(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("a")]))


@pytest.mark.parametrize("operation", LOCKS, ids=lambda operation: repr(operation)[:50])
def test_a_transaction_locks_what_it_reads_or_is_refused(calm: DatabaseAdapter, operation: Operation) -> None:
    transaction = calm.begin_transaction()
    if not calm.capabilities.locks:
        with pytest.raises(Unsupported, match="cannot lock") as refused:
            transaction.run(calm, operation)
        assert (refused.value.capability, refused.value.backend) == ("locks", calm.name)
        assert sorted(calm.get_connection_info()["operations"]) == ["insert"] or calm.capabilities.calls
    else:
        result = transaction.run(calm, operation)
        for part in result.parts or [result]:
            assert [row["rank"] for row in part] == [0]
    transaction.rollback()


@pytest.mark.parametrize("operation", LOCKS, ids=lambda operation: repr(operation)[:50])
def test_outside_of_a_transaction_there_is_no_lock(calm: DatabaseAdapter, operation: Operation) -> None:
    refusal = InvalidQuery if calm.capabilities.locks else Unsupported
    with pytest.raises(refusal, match="a lock requires a transaction" if calm.capabilities.locks else "cannot lock"):
        calm.run(operation)


def test_groups_and_changes_lock_nothing(calm: DatabaseAdapter) -> None:
    with pytest.raises(InvalidQuery, match="lock"):
        calm.table("things").update({"rank": 1}).eq("id", "a").lock().execute()
    with pytest.raises(InvalidQuery, match="lock"):
        calm.table("things").lock().subscribe(print)
    if calm.capabilities.locks:
        with pytest.raises(InvalidQuery, match="lock"), calm.transaction():
            calm.table("things").group_by("rank").lock().execute()


def test_who_locks_first_is_waited_for(calm: DatabaseAdapter) -> None:
    """None fails: each begins after the one before has ended, and reads its changes."""
    if not calm.capabilities.locks:
        return

    def count(_: int) -> None:
        for _ in range(ROUNDS):
            with calm.transaction():
                row = calm.get("things", "a", lock=True) or {}
                calm.run(Update("things", {"rank": row["rank"] + 1}, id="a"))

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(count, range(THREADS)))
    assert (calm.get("things", "a") or {})["rank"] == THREADS * ROUNDS


def test_a_lock_takes_the_right_to_write(calm: DatabaseAdapter) -> None:
    reader, seller = caller("r", permissions=["prices:read"]), caller("s", "seller", ["prices:read"])
    calm.run(Insert("prices", [{"id": "p", "amount": 1}]))
    with acting_as(reader), calm.transaction():
        assert calm.get("prices", "p") is not None
    for query in (Get("prices", "p", lock=True), Select("prices", lock=True)):
        # Twice: what the first one has found out of the table is remembered.
        with acting_as(reader), pytest.raises(PermissionDenied), calm.transaction():
            calm.run(query)
        if calm.capabilities.locks:
            with acting_as(seller), calm.transaction():
                assert len(calm.run(query)) == 1


def test_of_own_rows_only_those_are_locked(calm: DatabaseAdapter) -> None:
    if not calm.capabilities.locks:
        return
    begin_diaries(calm)
    with acting_as(ADA), calm.transaction():
        assert [row["id"] for row in calm.table("diaries").lock().execute()] == ["a1", "a2"]
        assert calm.get("diaries", "b1", lock=True) is None
        assert calm.get("diaries", "a1", lock=True) is not None
