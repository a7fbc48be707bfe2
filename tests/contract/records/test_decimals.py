"""Decimals are exact: in what is returned, found, sorted, grouped, and written in SQL text."""

from __future__ import annotations

from contextlib import ExitStack
from decimal import Decimal

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import TransactionError
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from tests.contract.backends import Backend
from tests.contract.tables import SCHEMA
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
    adapter.run(Insert("things", [thing("b", price=NEXT), thing("a", price=LONG)]))
    text = f"select id from things where {condition}"
    if backend.case.name == "sqlite":
        with pytest.raises(InvalidQuery, match=REFUSED):
            adapter.execute_query(text)
    else:
        assert adapter.execute_query(text) == [{"id": "a"}]


REFUSED = r"Numeric column things.price as it is, .* with table\('things'\)"
STAMPED = "created_at, updated_at, version"
INSERT = f"insert into things (id, label, rank, {STAMPED}"
MISUSES = (
    "select max(price) as m from things",
    "select id from things where price > ?",
    "select price from things where price > 12.50",
    "select price from things where price is null",
    "select price as p from things where p > 1",
    "select price as p from things order by p + 1",
    "select p from (select price as p from things) where p > 1",
    "with t as (select price as p from things) select p from t where p > 1",
    "with t as materialized (select price as p from things) select p from t where p > 1",
    "select price from things union select 3",
    "select price * 2 as p from things",
    "select (select price from things) as p",
    "select a.price from things a join things b using (price)",
    "select price from things natural join (select 1 as price)",
    "select sum(price) over () as p from things",
    "update things set price = ?",
    "update things set title = price",
    "update things set title = 'x' where price > 1",
    "update things set title = 'x' where price > 1 returning price",
    "delete from things where price > ?",
    f"{INSERT}, price) values ('x', 'x', 1, '', '', 1, ?)",
    f"{INSERT}, \"PRICE\") values ('x', 'x', 1, '', '', 1, 2)",
    f"{INSERT}) select 'x', 'x', 1, created_at, updated_at, price from things",
    f"{INSERT}) values ('a', 'x', 1, '', '', 1) on conflict (id) do update set title = excluded.price",
    "insert into things select * from things",
    f"insert into things values ({', '.join(['1'] * len(SCHEMA.table('things').columns))})",
)


@pytest.mark.parametrize("text", MISUSES)
@pytest.mark.parametrize("alone", [True, False])
def test_sqlite_refuses_to_compute_with_decimals(
    adapter: DatabaseAdapter, backend: Backend, text: str, alone: bool
) -> None:
    if backend.case.name != "sqlite":
        return
    adapter.run(Insert("things", [thing("a", price=LONG)]))
    before = adapter.table("things").execute().rows
    params = [Decimal("12.50")] if "?" in text else []
    with ExitStack() as around:
        if not alone:
            around.enter_context(pytest.raises(TransactionError))
            around.enter_context(adapter.transaction())
        with pytest.raises(InvalidQuery, match=REFUSED):
            adapter.execute_query(text, params)
    assert adapter.table("things").execute().rows == before


def test_sql_text_returns_decimals(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("b", price=NEXT), thing("a", price=LONG), thing("c")]))
    for end in ("order by id", "where label <> 'x' order by id"):
        found = adapter.execute_query(f"select id, price from things {end}")
        assert [row["price"] for row in found] == [LONG, NEXT, None]
    assert adapter.execute_query("select price as p from things where id = :k", {"k": "a"}) == [{"p": LONG}]
    whole = adapter.table("things").eq("id", "b").execute().rows
    assert adapter.execute_query("select * from things where id = 'b'") == whole
    changed = adapter.execute_query("update things set title = 'x' where id = 'a' returning price, title")
    assert changed == [{"price": LONG, "title": "x"}]
    assert adapter.execute_query("delete from things where id = 'a' returning price") == [{"price": LONG}]


def test_sql_text_on_other_columns_is_free(adapter: DatabaseAdapter, backend: Backend) -> None:
    if backend.case.capabilities.sql == "translated":
        return
    adapter.run(Insert("things", [thing("a", price=LONG, amount=2)]))
    assert adapter.execute_query("select sum(amount) as s, count(*) as n from things where amount > 1") == [
        {"s": 2, "n": 1}
    ]
    assert adapter.execute_query("update things set amount = amount + 1") == 1
    assert adapter.execute_query("explain select id from things where price > 1")
    copied = f"insert into things (id, label, rank, {STAMPED}) select 'c', label, rank, {STAMPED} from things"
    assert adapter.execute_query(copied) == 1
    assert adapter.table("things").select("id", "price", "amount").execute().rows == [
        {"id": "a", "price": LONG, "amount": 3},
        {"id": "c", "price": None, "amount": None},
    ]
