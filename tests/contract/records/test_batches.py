"""Batches: several operations, executed atomically."""

# a transaction that fails is a block

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from tests.contract.tables import thing


def test_operations_see_what_the_ones_before_did(adapter: DatabaseAdapter) -> None:
    operations = (
        Insert("things", [thing("a"), thing("b")]),
        Update("things", {"rank": 5}, id="a"),
        Get("things", "a", ("rank", "version")),
        Upsert("things", [thing("b", rank=6), thing("c")]),
        Delete("things", id="a"),
        Select("things", count=True),
    )
    result = adapter.run(Batch(operations))
    assert [part.count for part in result.parts] == [2, 1, None, 2, 1, 2]
    assert result.count == 8
    assert result.parts[2].first == {"rank": 5, "version": 2}
    assert [row["id"] for row in result.parts[-1]] == ["b", "c"]
    assert result.parts[-1].rows == adapter.table("things").execute().rows


@pytest.mark.parametrize(
    ("last", "error"),
    [
        (Insert("things", [thing("old")]), ConstraintViolated),
        (Update("things", {"rank": 1}, id="old", expected_version=9), Conflict),
        (Update("things", {"rank": "1"}, id="old"), InvalidQuery),
        (Batch((Delete("things", id="b"), Delete("things"))), InvalidQuery),
    ],
    ids=["violation", "conflict", "invalid", "nested"],
)
def test_one_failure_undoes_all(adapter: DatabaseAdapter, last: Operation, error: type[DataError]) -> None:
    (old,) = adapter.run(Insert("things", [thing("old")]))
    operations = (
        Insert("things", [thing(f"n{number}") for number in range(30)]),
        Upsert("things", [thing("old", rank=7), thing("b")]),
        Update("things", {"title": "x"}, id="old"),
        last,
    )
    with pytest.raises(error):
        adapter.run(Batch(operations))
    assert adapter.table("things").execute().rows == [old]


def test_a_batch_inside_a_batch(adapter: DatabaseAdapter) -> None:
    inner = Batch((Insert("things", [thing("b")]), Get("things", "a", ("id",))))
    result = adapter.run(Batch((Insert("things", [thing("a")]), inner)))
    assert result.parts[1].parts[1].rows == [{"id": "a"}]
    assert len(adapter.table("things").execute()) == 2


def test_a_batch_that_only_reads(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a")]))
    result = adapter.run(Batch((Get("things", "a", ("id",)), Get("things", "b"), Select("things", ("id",)))))
    assert [part.rows for part in result.parts] == [[{"id": "a"}], [], [{"id": "a"}]]


def test_an_empty_batch(adapter: DatabaseAdapter) -> None:
    result = adapter.run(Batch(()))
    assert (result.parts, result.count) == ([], 0)


def test_a_batch_of_built_queries(adapter: DatabaseAdapter) -> None:
    table = adapter.table
    adapter.run(Batch((table("notes").insert({"id": "a"}).operation(), table("notes").insert({"id": "b"}).operation())))
    assert [row["id"] for row in adapter.table("notes").execute()] == ["a", "b"]


def test_a_failed_batch_aborts_the_transaction_around_it(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("a")]))
    with calm.transaction() as transaction:
        calm.run(Insert("things", [thing("b")]))
        with pytest.raises(ConstraintViolated), transaction.nested():
            calm.run(Batch((Insert("things", [thing("c")]), Insert("things", [thing("b")]))))
        calm.run(Batch((Insert("things", [thing("d")]), Insert("things", [thing("e")]))))
    assert [row["id"] for row in calm.table("things").execute()] == ["a", "b", "d", "e"]
