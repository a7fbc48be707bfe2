"""Groups: their values, their numbers of rows and their order."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Literal

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.query.filters import Order
from database.core.query.filters import Where
from tests.contract.tables import thing

MOMENT = datetime(2024, 1, 1, 12, 30, 15, 1, tzinfo=UTC)


@pytest.fixture
def rows(adapter: DatabaseAdapter) -> DatabaseAdapter:
    """An adapter to a table with equal values and nulls."""
    titles = ["b", "a", None, "a", "b", None, "a"]
    amounts = [3, None, 1, 3, None, 1, 1]
    pairs = zip("tuvwxyz", zip(titles, amounts, strict=True), strict=True)
    adapter.run(Insert("things", [thing(name, title=title, amount=amount) for name, (title, amount) in pairs]))
    return adapter


def test_every_value_is_a_group_and_null_is_one(rows: DatabaseAdapter) -> None:
    assert rows.table("things").group_by("title").execute().rows == [
        {"title": "a", "count": 3},
        {"title": "b", "count": 2},
        {"title": None, "count": 2},
    ]


def test_every_combination_is_a_group(rows: DatabaseAdapter) -> None:
    expected = [("a", 1, 1), ("a", 3, 1), ("a", None, 1), ("b", 3, 1), ("b", None, 1), (None, 1, 2)]
    for query in (
        rows.table("things").group_by("title", "amount"),
        rows.table("things").group_by("title, amount"),
        rows.table("things").group_by("title").group_by("amount"),
    ):
        result = query.execute()
        assert [tuple(row.values()) for row in result] == expected
        assert list(result.rows[0]) == ["title", "amount", "count"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("title", ["", " ", "A", "a", "e\u0301", "\u00e9", "水", "\uffff", "😀"]),
        ("done", [False, True]),
        ("amount", [-(2**63), -1, 0, 2**53, 2**53 + 1, 2**63 - 1]),
        ("ratio", [-1e300, 0.0, 5e-324, 0.1, 1e300]),
        ("seen", [datetime(1, 1, 1, tzinfo=UTC), MOMENT, MOMENT.replace(microsecond=2)]),
    ],
)
def test_values_of_every_kind_keep_apart_and_keep_their_type(
    adapter: DatabaseAdapter, column: str, values: list[Any]
) -> None:
    doubled = [*values[::-1], None, *values, None, None]
    adapter.run(Insert("things", [thing(f"{i}", **{column: value}) for i, value in enumerate(doubled)]))
    result = adapter.table("things").group_by(column).execute().rows
    assert result == [*[{column: value, "count": 2} for value in values], {column: None, "count": 3}]
    assert {type(row[column]) for row in result[:-1]} == {type(values[0])}
    assert {type(row["count"]) for row in result} == {int}


def test_the_two_zeros_are_one_group(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", ratio=0.0), thing("b", ratio=-0.0)]))
    assert adapter.table("things").group_by("ratio").execute().rows == [{"ratio": 0.0, "count": 2}]


def test_filters_choose_the_rows_that_are_counted(rows: DatabaseAdapter) -> None:
    filtered = rows.table("things").gt("amount", 1).group_by("title").execute()
    assert filtered.rows == [{"title": "a", "count": 1}, {"title": "b", "count": 1}]
    chosen = rows.table("things").in_("id", ["t", "v", "y"]).where(~Where("title", "eq", "b")).group_by("title")
    assert chosen.execute().rows == []
    assert rows.table("things").is_null("title").group_by("title", "amount").execute().rows == [
        {"title": None, "amount": 1, "count": 2}
    ]


def test_no_rows_are_no_groups(adapter: DatabaseAdapter) -> None:
    result = adapter.table("things").select(count=True).group_by("title").execute()
    assert (result.rows, result.count) == ([], 0)


@pytest.mark.parametrize(
    ("direction", "nulls", "expected"),
    [
        ("asc", None, ["a", "b", None]),
        ("asc", "first", [None, "a", "b"]),
        ("desc", None, [None, "b", "a"]),
        ("desc", "last", ["b", "a", None]),
    ],
)
def test_nulls_are_placed(
    rows: DatabaseAdapter, direction: str, nulls: Literal["first", "last"] | None, expected: list[str | None]
) -> None:
    result = rows.table("things").group_by("title").order("title", direction, nulls=nulls).execute()
    assert [row["title"] for row in result] == expected


def test_columns_without_an_order_of_their_own_come_last_ascending(rows: DatabaseAdapter) -> None:
    result = rows.table("things").group_by("title", "amount").order("amount", desc=True, nulls="last").execute()
    expected = [("a", 3), ("b", 3), ("a", 1), (None, 1), ("a", None), ("b", None)]
    assert [(row["title"], row["amount"]) for row in result] == expected


def test_a_column_that_is_not_shown_still_groups_and_orders(rows: DatabaseAdapter) -> None:
    result = rows.table("things").select("title").group_by("amount", "title").order("amount", desc=True).execute()
    assert result.rows == [
        {"title": "a", "count": 1},
        {"title": "b", "count": 1},
        {"title": "a", "count": 1},
        {"title": "b", "count": 1},
        {"title": "a", "count": 1},
        {"title": None, "count": 2},
    ]


@pytest.mark.parametrize(
    ("limit", "offset", "expected"),
    [
        (None, None, ["a", "b", None]),
        (2, None, ["a", "b"]),
        (1, 1, ["b"]),
        (None, 2, [None]),
        (0, None, []),
        (9, 3, []),
    ],
)
def test_limit_and_offset_are_about_groups_and_leave_their_count(
    rows: DatabaseAdapter, limit: int | None, offset: int | None, expected: list[str | None]
) -> None:
    result = rows.run(Select("things", limit=limit, offset=offset, count=True, group=("title",)))
    assert [row["title"] for row in result] == expected
    assert result.count == 3
    assert rows.run(Select("things", limit=limit, offset=offset, group=("title",))).count is None


def test_a_filter_goes_before_limit_and_offset(rows: DatabaseAdapter) -> None:
    query = rows.table("things").select(count=True).in_("title", ["a", "b"]).neq("amount", 7).group_by("title")
    result = query.limit(1).offset(1).execute()
    assert (result.rows, result.count) == ([{"title": "b", "count": 1}], 2)


def test_groups_and_rows_are_told_apart(rows: DatabaseAdapter) -> None:
    for _ in range(2):
        assert rows.table("things").select("id").limit(1).execute().rows == [{"id": "t"}]
        assert rows.table("things").group_by("id").limit(1).execute().rows == [{"id": "t", "count": 1}]
        assert rows.table("things").select("title", count=True).execute().count == 7
        assert rows.table("things").select("title", count=True).group_by("title").execute().count == 3


def test_a_column_named_like_the_count_does_not_disturb_it(adapter: DatabaseAdapter) -> None:
    counts = [True, None, False]
    adapter.run(Insert("namesakes", [{"id": f"{i}", "count": count} for i, count in enumerate(counts)]))
    groups = adapter.table("namesakes").is_null("count", wanted=False).group_by("notes").execute().rows
    assert groups == [{"notes": None, "count": 2}]
    assert type(groups[0]["count"]) is int


def test_a_transaction_groups_its_own_writes(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing("a", title="x"), thing("b", title="y")]))
    with adapter.transaction():
        adapter.run(Insert("things", [thing("c", title="x")]))
        adapter.run(Delete("things", id="b"))
        assert adapter.table("things").group_by("title").execute().rows == [{"title": "x", "count": 2}]
        assert len(adapter.run_alone(Select("things", group=("title",)))) == 2


def test_a_batch_groups_what_it_wrote(adapter: DatabaseAdapter) -> None:
    grouped = adapter.table("things").group_by("title").operation()
    result = adapter.run(Batch((Insert("things", [thing("a"), thing("b")]), grouped)))
    assert result.parts[1].rows == [{"title": None, "count": 2}]


REFUSED: list[tuple[Select, type[DataError], str]] = [
    (Select("nothing", group=("id",)), NotFound, "no table"),
    (Select("things", group=("nothing",)), InvalidQuery, "no column 'nothing'"),
    (Select("things", group=("count(*)",)), InvalidQuery, "no column"),
    (Select("things", group=("title", "title")), InvalidQuery, "each column once"),
    (Select("things", group=("data",)), InvalidQuery, "'data' is JSON and cannot be"),
    (Select("namesakes", group=("notes", "count")), InvalidQuery, "'count' cannot be a group_by column"),
    (Select("things", ("label",), group=("title",)), InvalidQuery, "'label' must be one of the group_by"),
    (Select("things", ("title", "count"), group=("title",)), InvalidQuery, "'count' must be one of"),
    (Select("things", ("title", "title"), group=("title",)), InvalidQuery, "each column once"),
    (Select("things", (), group=("title",)), InvalidQuery, "each column once"),
    (Select("things", order=(Order("label"),), group=("title",)), InvalidQuery, "'label' must be one of"),
    (Select("things", order=(Order("count"),), group=("title",)), InvalidQuery, "'count' must be one of"),
    (Select("things", order=(Order("id"),), group=("title",)), InvalidQuery, "'id' must be one of"),
    (Select("things", where=Where("nothing", "eq", 1), group=("title",)), InvalidQuery, "no column"),
    (Select("things", limit=-1, group=("title",)), InvalidQuery, "limit"),
    (Select("things", offset=-1, count=True, group=("title",)), InvalidQuery, "offset"),
]


@pytest.mark.parametrize(("operation", "error", "message"), REFUSED, ids=lambda value: repr(value)[:60])
def test_groups_that_do_not_fit(calm: DatabaseAdapter, operation: Select, error: type[DataError], message: str) -> None:
    with pytest.raises(error, match=message) as refused:
        calm.run(operation)
    assert (refused.value.backend, refused.value.operation) == (calm.name, "select")


def test_a_query_that_does_not_select_has_no_groups(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("a")]))
    for query in (
        calm.table("things").insert(thing("b")).group_by("title"),
        calm.table("things").group_by("title").delete().eq("id", "a"),
        calm.table("things").group_by("title").update({"rank": 1}).eq("id", "a"),
    ):
        with pytest.raises(InvalidQuery, match="takes no group"):
            query.execute()
    for columns in ((), ("*",)):
        with pytest.raises(InvalidQuery, match="takes the columns"):
            calm.table("things").group_by(*columns)
    assert [row["version"] for row in calm.table("things").execute()] == [1]
