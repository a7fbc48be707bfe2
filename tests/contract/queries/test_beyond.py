"""Filters with values that their column cannot hold find what the comparison means, and are no error."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.operations import Insert
from database.core.operations import Update
from database.core.query.filters import Not
from database.core.query.filters import Where
from tests.contract.tables import thing

LOW, HIGH = "00000000-0000-0000-0000-00000000000a", "ffffffff-ffff-ffff-ffff-ffffffffffff"
ROWS = [
    thing("low", level=-(2**15), stock=-(2**31), price="-99999999999999.9999", token=LOW, mood="Zen"),
    thing("high", level=2**15 - 1, stock=2**31 - 1, price="99999999999999.9999", token=HIGH, mood="low"),
    thing("null"),
]
EVERY = ["high", "low"]
NONE: list[str] = []
ABOVE: dict[str, list[str]] = {"eq": NONE, "neq": EVERY, "gt": NONE, "gte": NONE, "lt": EVERY, "lte": EVERY}
BELOW: dict[str, list[str]] = {"eq": NONE, "neq": EVERY, "gt": EVERY, "gte": EVERY, "lt": NONE, "lte": NONE}
BETWEEN: dict[str, list[str]] = {
    "eq": NONE, "neq": EVERY, "gt": ["high"], "gte": ["high"], "lt": ["low"], "lte": ["low"],
}  # fmt: skip
CASES: list[tuple[str, Any, dict[str, list[str]]]] = [
    ("level", 70_000, ABOVE),
    ("level", 2**63 - 1, ABOVE),
    ("level", -(2**15) - 1, BELOW),
    ("stock", 3_000_000_000, ABOVE),
    ("stock", -3_000_000_000, BELOW),
    ("token", "", BELOW),
    ("token", "xyz", ABOVE),
    ("token", "g", ABOVE),
    ("token", "F", BETWEEN),
    ("token", f"{LOW[:-2]}0b", BETWEEN),
    ("token", LOW[:9], BELOW),
    ("mood", "", BELOW),
    ("mood", "Z", BELOW),
    ("mood", "a", BETWEEN),
    ("mood", "high", BETWEEN),
    ("mood", "lows", ABOVE),
    ("mood", "nope", ABOVE),
    ("price", 10**14, ABOVE),
    ("price", Decimal("99999999999999.99991"), ABOVE),
    ("price", Decimal("1e300000"), ABOVE),
    ("price", Decimal("-99999999999999.99991"), BELOW),
    ("price", Decimal("1e-300000"), BETWEEN),
    ("price", Decimal("-0.00001"), BETWEEN),
]


@pytest.mark.parametrize(("column", "value", "expected"), CASES)
def test_a_comparison_beyond_the_column(
    adapter: DatabaseAdapter, column: str, value: Any, expected: dict[str, list[str]]
) -> None:
    adapter.run(Insert("things", ROWS))
    for operator, found in expected.items():
        where = Where(column, operator, value)  # type: ignore[arg-type]
        assert _ids(adapter, where) == found, operator
        # A null is neither in nor out.
        assert _ids(adapter, Not(where)) == [name for name in EVERY if name not in found], operator
    assert _ids(adapter, Where(column, "in", [value])) == NONE
    assert _ids(adapter, Not(Where(column, "in", [value]))) == EVERY
    assert _ids(adapter, Where(column, "in", [value, ROWS[0][column]])) == ["low"]


def test_a_change_by_such_a_filter(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", ROWS))
    assert len(adapter.run(Update("things", {"title": "x"}, where=Where("level", "eq", 70_000)))) == 0
    assert len(adapter.run(Update("things", {"title": "x"}, where=Where("stock", "lt", 2**40)))) == 2


def _ids(adapter: DatabaseAdapter, where: Any) -> list[str]:
    return [row["id"] for row in adapter.table("things").where(where).execute().rows]


def test_a_uuid_is_one_value_in_every_case(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", token=HIGH.upper()), thing("b", token=UUID(LOW))]))
    assert [row["token"] for row in adapter.table("things").order("token").execute()] == [LOW, HIGH]
    for where in (Where("token", "eq", HIGH.upper()), Where("token", "in", [HIGH.upper(), "x"])):
        assert _ids(adapter, where) == ["a"]
    assert _ids(adapter, Where("token", "eq", UUID(LOW))) == ["b"]
    assert _ids(adapter, Where("token", "like", "%-00000000000_")) == ["b"]
    assert _ids(adapter, Where("token", "contains", "ff-")) == ["a"]
