"""Order, ranges and paging."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Literal

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.operations import Insert
from database.core.operations import Select
from database.core.query.filters import Order
from database.core.query.filters import after
from database.core.query.validation import MAX_SORT_KEYS
from tests.contract.tables import thing

CODE_POINTS = ["", "!", "A", "B", "Z", "_", "a", "b", "z", "é", "ÿ", "水", "\uffff", "😀"]


@pytest.fixture
def rows(adapter: DatabaseAdapter) -> DatabaseAdapter:
    """An adapter to a table with equal values and nulls."""
    amounts = [3, None, 1, 3, None, 2, 1]
    titles = ["b", "a", None, "a", "b", None, "a"]
    pairs = zip("abcdefg", zip(amounts, titles, strict=True), strict=True)
    adapter.run(Insert("things", [thing(name, amount=amount, title=title) for name, (amount, title) in pairs]))
    return adapter


def test_text_is_in_code_point_order(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing(f"{len(CODE_POINTS) - i:02}", title=t) for i, t in enumerate(CODE_POINTS)]))
    up = adapter.table("things").order("title").execute()
    down = adapter.table("things").order("title", "desc").execute()
    assert [row["title"] for row in up] == CODE_POINTS
    assert [row["title"] for row in down] == CODE_POINTS[::-1]


def test_a_query_sorts_by_as_many_columns_as_it_may(adapter: DatabaseAdapter) -> None:
    """The id that completes them is not counted, wherever the query is checked again."""
    adapter.run(Insert("things", [thing(name, rank=rank) for name, rank in zip("abc", (2, 1, 1), strict=True)]))
    query = Select("things", ("id",), order=(Order("rank"),) * MAX_SORT_KEYS)
    expected = [{"id": name} for name in "bca"]
    assert adapter.run(query).rows == expected
    with adapter.transaction():
        assert adapter.run(query).rows == expected


def test_ids_are_in_code_point_order(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("notes", [{"id": text} for text in reversed(CODE_POINTS) if text]))
    assert [row["id"] for row in adapter.table("notes").execute()] == CODE_POINTS[1:]


@pytest.mark.parametrize(
    ("column", "ordered"),
    [
        ("amount", [-(2**63), -1, 0, 1, 2**53, 2**53 + 1, 2**63 - 1]),
        ("ratio", [-1e300, -0.1, 0.0, 5e-324, 0.1, 1e300]),
        ("done", [False, True]),
        ("seen", [datetime(1, 1, 1, tzinfo=UTC), datetime(1969, 12, 31, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)]),
    ],
)
def test_other_kinds_are_in_their_own_order(adapter: DatabaseAdapter, column: str, ordered: list[Any]) -> None:
    adapter.run(Insert("things", [thing(f"{9 - i}", **{column: value}) for i, value in enumerate(ordered)]))
    assert [row[column] for row in adapter.table("things").order(column).execute()] == ordered


@pytest.mark.parametrize(
    ("direction", "nulls", "expected"),
    [
        ("asc", None, "cgfadbe"),
        ("asc", "last", "cgfadbe"),
        ("asc", "first", "becgfad"),
        ("desc", None, "beadfcg"),
        ("desc", "first", "beadfcg"),
        ("desc", "last", "adfcgbe"),
    ],
)
def test_nulls_are_placed_and_the_id_decides_last(
    rows: DatabaseAdapter, direction: str, nulls: Literal["first", "last"] | None, expected: str
) -> None:
    assert _ids(rows.table("things").order("amount", direction, nulls=nulls).execute()) == expected


def test_keys_after_the_id_do_not_matter(rows: DatabaseAdapter) -> None:
    assert _ids(rows.table("things").order("id", desc=True).order("amount").execute()) == "gfedcba"


def test_several_keys(rows: DatabaseAdapter) -> None:
    ordered = rows.table("things").order("title", nulls="first").order("amount", desc=True, nulls="last").execute()
    assert _ids(ordered) == "fcdgbae"


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [
        (None, None, "abcdefg"),
        (3, None, "abc"),
        (3, 2, "cde"),
        (None, 5, "fg"),
        (0, None, ""),
        (9, 7, ""),
        (2, 0, "ab"),
    ],
)
def test_limit_and_offset_leave_the_count(
    rows: DatabaseAdapter, limit: int | None, offset: int | None, expected: str
) -> None:
    result = rows.run(Select("things", limit=limit, offset=offset, count=True))
    assert _ids(result) == expected
    assert result.count == 7
    assert rows.run(Select("things", limit=limit, offset=offset)).count is None


def test_the_largest_range_is_allowed(rows: DatabaseAdapter) -> None:
    assert rows.table("things").limit(2**63 - 1).offset(1).execute().rows[0]["id"] == "b"
    assert rows.table("things").offset(2**63 - 1).execute().rows == []


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize(
    "order",
    [
        (),
        (Order("id", descending=True),),
        (Order("amount"),),
        (Order("amount", descending=True),),
        (Order("amount", nulls="first"), Order("title", descending=True, nulls="last")),
        (Order("title", descending=True), Order("amount", descending=True, nulls="last"), Order("id", descending=True)),
    ],
)
def test_pages_by_key_are_the_whole(rows: DatabaseAdapter, order: tuple[Order, ...], size: int) -> None:
    whole = rows.run(Select("things", order=order)).rows
    pages: list[dict[str, Any]] = []
    where = None
    while page := rows.run(Select("things", where=where, order=order, limit=size)).rows:
        pages += page
        names = [key.column for key in order if key.column != "id"] + ["id"]
        where = after(order, [page[-1][name] for name in names])
        assert len(pages) <= len(whole)
    assert pages == whole


def _ids(result: Any) -> str:
    return "".join(row["id"] for row in result)
