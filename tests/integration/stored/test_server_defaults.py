"""Defaults that only the database can make: left to it by SQL databases, and asked for in memory."""

from __future__ import annotations

import pytest

from database.backends.memory import MemoryAdapter
from database.core.clock import utc_now
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.tables.rows import replacement_values
from tests.integration.stored.conftest import SCHEMA
from tests.integration.stored.conftest import Stored

ORDERS = SCHEMA.table("orders")


@pytest.mark.parametrize("operation", [Insert, Upsert])
@pytest.mark.parametrize("number", [1, 30])
def test_rows_of_one_write_may_leave_it_out_or_give_it(
    stored: Stored, operation: type[Insert | Upsert], number: int
) -> None:
    rows = [{"id": f"{n:02}", "name": "a"} | ({"code": "own"} if n % 2 else {}) for n in range(2 * number)]
    result = stored.adapter.run(operation("orders", rows))
    assert [row["code"] for row in result] == ["AB", "own"] * number
    assert stored.adapter.table("orders").execute().rows == result.rows


def test_a_bad_row_among_such_rows_is_told_and_changes_nothing(stored: Stored) -> None:
    rows = [{"id": "a", "name": "a"}, {"id": "b", "name": "b", "code": "x"}]
    with pytest.raises(InvalidRow) as invalid:
        stored.adapter.run(Insert("orders", [*rows, {"id": "c"}]))
    assert invalid.value.row == 2
    with pytest.raises(ConstraintViolated) as violated:
        stored.adapter.run(Insert("orders", [*rows, {"id": "a", "name": "c"}]))
    assert violated.value.row == 2
    assert stored.adapter.table("orders").execute().rows == []


def test_a_replacement_that_leaves_it_out_gets_it(stored: Stored) -> None:
    stored.adapter.run(Insert("orders", [{"id": "a", "name": "a", "note": "n", "code": "own"}]))
    values = replacement_values(ORDERS, {"id": "a", "name": "b"}, utc_now())
    (row,) = stored.adapter.run(Update("orders", values, id="a"))
    assert (row["name"], row["note"], row["code"], row["version"]) == ("b", None, "AB", 2)
    assert stored.adapter.get("orders", "a") == row


def test_memory_asks_for_the_value(memory: MemoryAdapter) -> None:
    for rows in ([{"name": "a"}], [{"name": "a", "code": "x"}, {"name": "b"}]):
        for operation in (Insert("orders", rows), Upsert("orders", rows)):
            with pytest.raises(InvalidRow, match="'code' of table 'orders' is required"):
                memory.run(operation)
    memory.run(Insert("orders", [{"id": "a", "name": "a", "code": "x"}]))
    with pytest.raises(InvalidQuery, match="'code' of table 'orders' is required here: only a SQL database"):
        memory.run(Update("orders", replacement_values(ORDERS, {"id": "a", "name": "b"}, utc_now()), id="a"))
    with pytest.raises(InvalidQuery, match="'code' of table 'orders' is required here"), memory.transaction():
        memory.run(Update("orders", replacement_values(ORDERS, {"id": "a", "name": "b"}, utc_now()), id="a"))
