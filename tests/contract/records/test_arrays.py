"""Lists of values of one type: kept, found by equality, and refused where some backend would have another meaning."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.kinds.arrays import MAX_ITEMS
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Not
from database.core.query.filters import Order
from database.core.query.filters import Where
from tests.contract.backends import Backend
from tests.contract.tables import thing
from tests.contract.test_sql import translates


def ids(adapter: DatabaseAdapter, where: Any) -> list[str]:
    return [row["id"] for row in adapter.table("things").where(where).execute()]


def test_lists_are_found_by_all_their_items(adapter: DatabaseAdapter) -> None:
    lists = {"a": ["x", "y"], "b": ["y", "x"], "c": [], "d": None, "e": ["NULL"]}
    adapter.run(Insert("things", [thing(name, tags=tags) for name, tags in lists.items()]))
    assert {row["id"]: row["tags"] for row in adapter.table("things").execute()} == lists
    assert ids(adapter, Where("tags", "eq", ("x", "y"))) == ["a"]
    assert ids(adapter, Where("tags", "eq", [])) == ["c"]
    assert ids(adapter, Where("tags", "neq", ["x", "y"])) == ["b", "c", "e"]
    assert ids(adapter, Not(Where("tags", "eq", ["NULL"]))) == ["a", "b", "c"]
    assert ids(adapter, Where("tags", "is_null", True)) == ["d"]


def test_lists_are_found_by_some_of_their_items(adapter: DatabaseAdapter) -> None:
    lists = {"a": ["x", "y"], "b": ['y","x', "z", "z"], "c": [], "d": None, "e": [","], "f": ["x,", ",y"]}
    adapter.run(Insert("things", [thing(name, tags=tags) for name, tags in lists.items()]))
    contains = {("x",): "a", ("y", "x"): "a", (): "abcef", (",",): "e", ("z",): "b", ('y","x',): "b", ("x", "z"): ""}
    for items, found in contains.items():
        assert ids(adapter, Where("tags", "contains", items)) == [*found], items
        assert ids(adapter, Not(Where("tags", "contains", items))) == [one for one in "abcef" if one not in found]
    within = {("x", "y", "z"): "ac", (): "c", (",", "q"): "ce", ('y","x', "z"): "bc"}
    for items, found in within.items():
        assert ids(adapter, Where("tags", "contained_by", items)) == [*found], items
    common = {("x", "z"): "ab", (): "", ("x,", "q"): "f", ("q",): ""}
    for items, found in common.items():
        assert ids(adapter, Where("tags", "overlaps", items)) == [*found], items
        assert ids(adapter, Not(Where("tags", "overlaps", items))) == [one for one in "abcef" if one not in found]


def test_every_kind_of_item_is_found(calm: DatabaseAdapter) -> None:
    calm.run(Insert("lists", [{"id": "a", **LISTS}, {"id": "b", **{name: [] for name in LISTS}}, {"id": "c"}]))
    for name, items in LISTS.items():
        for item in items:
            assert [row["id"] for row in calm.table("lists").contains(name, [item]).execute()] == ["a"], name
        assert [row["id"] for row in calm.table("lists").overlaps(name, items[-1:]).execute()] == ["a"], name
        assert [row["id"] for row in calm.table("lists").contained_by(name, items).execute()] == ["a", "b"], name
        assert [row["id"] for row in calm.table("lists").contained_by(name, items[1:]).execute()] == ["b"], name


def test_items_that_the_column_cannot_hold_are_in_none(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", scores=[1, 2]), thing("b", scores=[]), thing("c")]))
    assert ids(adapter, Where("scores", "contains", [1, 70_000])) == []
    assert ids(adapter, Not(Where("scores", "contains", [70_000]))) == ["a", "b"]
    assert ids(adapter, Where("scores", "contained_by", [1, 2, 70_000])) == ["a", "b"]
    assert ids(adapter, Where("scores", "overlaps", [70_000, 2])) == ["a"]
    assert ids(adapter, Not(Where("scores", "overlaps", [70_000]))) == ["a", "b"]


def test_lists_that_the_column_cannot_hold_equal_none(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", scores=[1], prices=["1.5", 2]), thing("b")]))
    assert (adapter.get("things", "a") or {})["prices"] == [Decimal("1.50"), Decimal("2.00")]
    assert ids(adapter, Where("prices", "eq", [Decimal("1.500"), 2])) == ["a"]
    for where in (Where("scores", "eq", [70_000]), Where("prices", "eq", ["1.501"])):
        assert ids(adapter, where) == []
        assert ids(adapter, Not(where)) == ["a"]
        assert ids(adapter, Where(where.column, "neq", where.value)) == ["a"]


def test_the_callers_list_is_no_part_of_the_record(adapter: DatabaseAdapter) -> None:
    tags = ["x"]
    (made,) = adapter.run(Insert("things", [thing("a", tags=tags)])).rows
    for given in (tags, made["tags"], (adapter.get("things", "a") or {})["tags"]):
        given.append("y")
    assert (adapter.get("things", "a") or {})["tags"] == ["x"]


LISTS: dict[str, list[Any]] = {
    "texts": ["a,b", "NULL", "", '{"}', "\\"],
    "numbers": [0, -(2**63), 2**63 - 1, 2**53 + 1],
    "doubles": [0.1, -2.5, 1e300, 3.0, 1e16],
    "flags": [True, False],
    "moments": [datetime(2024, 2, 29, 12, 0, 0, 1, UTC), datetime(1, 1, 1, tzinfo=UTC)],
    "days": [date(2024, 2, 29), date(1, 1, 1)],
    "times": [time(), time(23, 59, 59, 999_999)],
    "notes": [datetime(2024, 2, 29, 12, 0, 0, 1), datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59)],  # noqa: DTZ001
    "tokens": ["00000000-0000-0000-0000-00000000000a"],
    "raws": [b"", b"\0\xff", b"a"],
    "spans": [timedelta(hours=36), timedelta(microseconds=-1)],
    "moods": ["it's", "", "low"],
}


@pytest.mark.parametrize("alone", [True, False])
def test_every_kind_of_item_is_kept(calm: DatabaseAdapter, alone: bool) -> None:
    empty: dict[str, list[Any]] = {name: [] for name in LISTS}
    calm.run(Insert("lists", [{"id": "a", **LISTS}, {"id": "b"}]))
    with nullcontext() if alone else calm.transaction():
        calm.run(Insert("lists", [{"id": "c", **empty}]))
        assert calm.get("lists", "a") == {"id": "a", **LISTS}
        assert calm.table("lists").execute().rows[1:] == [{"id": "b"} | dict.fromkeys(LISTS), {"id": "c", **empty}]
        for name, items in LISTS.items():
            assert [row["id"] for row in calm.table("lists").eq(name, items).execute()] == ["a"], name
            assert [row["id"] for row in calm.table("lists").neq(name, items).execute()] == ["c"], name
        assert calm.run(Update("lists", LISTS, id="b")).rows == [{"id": "b", **LISTS}]
    found = [type(item) for items in (calm.get("lists", "b") or {}).values() if type(items) is list for item in items]
    assert found == [type(item) for items in LISTS.values() for item in items]


@pytest.mark.parametrize("alone", [True, False])
def test_lists_are_changed(adapter: DatabaseAdapter, alone: bool) -> None:
    def change() -> None:
        adapter.run(Insert("things", [thing("a", tags=["x"], prices=[1])]))
        (row,) = adapter.run(Update("things", {"tags": ["y", "z"]}, id="a")).rows
        assert (row["tags"], row["prices"]) == (["y", "z"], [Decimal("1.00")])
        (row,) = adapter.run(Upsert("things", [thing("a", scores=[3])])).rows
        assert (row["tags"], row["scores"]) == (["y", "z"], [3])
        adapter.run(Update("things", {"tags": []}, where=Where("tags", "eq", ["y", "z"])))

    if alone:
        change()
    else:
        with adapter.transaction():
            change()
    assert (adapter.get("things", "a") or {})["tags"] == []


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("tags", "x", "must be a list"),
        ("tags", {"a": 1}, "must be a list"),
        ("tags", ["x", None], "must not contain null"),
        ("tags", [["x"]], "must be text"),
        ("tags", [1], "must be text"),
        ("tags", ["\0"], "NUL"),
        ("tags", ["x"] * (MAX_ITEMS + 1), "at most 1000 items"),
        ("scores", [70_000], "16 bits"),
        ("prices", [0.5], "must be exact"),
    ],
)
def test_what_does_not_fit_is_an_error_of_its_row(
    adapter: DatabaseAdapter, column: str, value: Any, message: str
) -> None:
    with pytest.raises(InvalidRow, match=message) as refused:
        adapter.run(Insert("things", [thing("a"), thing("b", **{column: value})]))
    assert (refused.value.row, refused.value.column) == (1, column)


def test_they_have_no_order(adapter: DatabaseAdapter) -> None:
    for operator, value in (("gt", ["x"]), ("in", [["x"]]), ("like", "x")):
        with pytest.raises(
            InvalidQuery, match="'tags' is an array; only eq, neq, contains, contained_by, overlaps and"
        ):
            ids(adapter, Where("tags", operator, value))  # type: ignore[arg-type]
    for operator in ("contains", "contained_by", "overlaps"):
        with pytest.raises(InvalidQuery, match="column 'tags' must be a list"):
            ids(adapter, Where("tags", operator, "x"))  # type: ignore[arg-type]
    for operator in ("contained_by", "overlaps"):
        with pytest.raises(InvalidQuery, match=f"{operator} needs an array column; column 'title' is text"):
            ids(adapter, Where("title", operator, ["x"]))  # type: ignore[arg-type]
    with pytest.raises(InvalidQuery, match="'tags' is an array and cannot be sorted by"):
        adapter.run(Select("things", order=(Order("tags"),)))
    with pytest.raises(InvalidQuery, match="'tags' is an array and cannot be a group_by column"):
        adapter.run(Select("things", group=("tags",)))


def test_sql_text_has_lists(adapter: DatabaseAdapter, backend: Backend) -> None:
    adapter.run(Insert("things", [thing("a", tags=["x", "é"], scores=[1, 2])]))
    text = "select tags, scores from things where tags = :tags"
    assert adapter.execute_query(text, {"tags": ["x", "é"]}) == [{"tags": ["x", "é"], "scores": [1, 2]}]
    if translates(adapter) or adapter.sql_dialect == "postgres":
        for condition, items in (("tags @> :i", ["x"]), ("tags <@ :i", ["x", "é", "z"]), ("tags && :i", ["z", "é"])):
            assert adapter.execute_query(f"select id from things where {condition}", {"i": items}) == [{"id": "a"}]
    if not translates(adapter):
        assert adapter.execute_query("update things set tags = :tags where id = 'a'", {"tags": ["y"]}) == 1
        assert (adapter.get("things", "a") or {})["tags"] == ["y"]
    if backend.case.name == "sqlite":
        with pytest.raises(InvalidQuery, match=r"things\.prices as it is"):
            adapter.execute_query("select id from things where prices = '[1]'")
