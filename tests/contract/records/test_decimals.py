"""Decimals are exact: in what is returned, found, sorted, grouped, and written in SQL text."""

from __future__ import annotations

from decimal import Decimal

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from tests.contract.backends import Backend
from tests.contract.tables import thing

LONG = Decimal("12345678901234.5678")
NEXT = Decimal("12345678901234.5679")


def test_every_spelling_is_one_value_with_all_its_digits(adapter: DatabaseAdapter) -> None:
    spelled = ["1.5", "1.50000", Decimal("1.5"), Decimal("15E-1"), "0.15e1"]
    adapter.run(Insert("things", [thing(str(place), price=value) for place, value in enumerate(spelled)]))
    adapter.run(Insert("things", [thing("a", price=2), thing("b", price=Decimal("-0"))]))
    found = {row["id"]: str(row["price"]) for row in adapter.table("things").select("id", "price").execute()}
    assert found == {**dict.fromkeys("01234", "1.5000"), "a": "2.0000", "b": "0.0000"}
    grouped = adapter.run(Select("things", group=("price",))).rows
    assert [(str(group["price"]), group["count"]) for group in grouped] == [("0.0000", 1), ("1.5000", 5), ("2.0000", 1)]
    (updated,) = adapter.run(Update("things", {"price": "3"}, id="a"))
    assert str(updated["price"]) == "3.0000"


def test_digits_that_no_double_has_are_compared(adapter: DatabaseAdapter) -> None:
    prices = {"a": LONG, "b": NEXT, "c": -LONG, "d": -NEXT}
    adapter.run(Insert("things", [thing(name, price=price) for name, price in prices.items()]))
    assert [row["id"] for row in adapter.table("things").eq("price", LONG).execute()] == ["a"]
    assert [row["id"] for row in adapter.table("things").gt("price", LONG).execute()] == ["b"]
    assert [row["price"] for row in adapter.table("things").order("price").execute()] == [-NEXT, -LONG, LONG, NEXT]


@pytest.mark.parametrize("condition", [f"price = {LONG}", f"price = '{LONG}'", f"price > -{NEXT} and price < {NEXT}"])
def test_sql_text_has_decimals_with_their_digits(adapter: DatabaseAdapter, backend: Backend, condition: str) -> None:
    if backend.case.name == "sqlite":
        # SQLite stores units of the last digit, and SQL text goes to it as it is.
        condition = condition.replace(".", "")
    adapter.run(Insert("things", [thing("b", price=NEXT), thing("a", price=LONG)]))
    assert adapter.execute_query(f"select id from things where {condition}") == [{"id": "a"}]
