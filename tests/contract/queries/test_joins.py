"""Joins: the rows of other tables inside the rows that a query selects."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from typing import Any

import pytest

from config.settings import load_settings
from database.adapter import joins
from database.adapter.base import DatabaseAdapter
from database.adapter.builder import TableQuery
from database.backends.faulty import Faults
from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing

FEW = 16
"""The number of values that a join queries at once in these tests, instead of the filter's limit of 1,024."""

MOMENT = datetime(2024, 1, 1, 12, 30, 15, 1, tzinfo=UTC)


def part(id: str, thing_id: str, **values: Any) -> dict[str, Any]:  # noqa: A002
    """A row of ``parts``."""
    return {"id": id, "thing_id": thing_id, **values}


@pytest.fixture
def rows(adapter: DatabaseAdapter) -> DatabaseAdapter:
    """An adapter to three things, of which one has two parts and one has none."""
    adapter.run(Insert("things", [thing(name, title="same", data={"list": [name]}) for name in "abc"]))
    adapter.run(Insert("parts", [part("3", "a", name="x"), part("2", "c"), part("1", "a", name="y")]))
    return adapter


def test_every_row_gets_the_rows_that_belong_to_it_by_id(rows: DatabaseAdapter) -> None:
    result = rows.table("things").join("parts", "id", "thing_id").execute().rows
    assert [row["id"] for row in result] == ["a", "b", "c"]
    assert [[found["id"] for found in row["parts"]] for row in result] == [["1", "3"], [], ["2"]]
    stored = {row["id"]: row for row in rows.table("parts").execute()}
    assert all(found == stored[found["id"]] for row in result for found in row["parts"])
    assert [{**row, "parts": None} for row in result] == [
        {**row, "parts": None} for row in rows.table("things").execute()
    ]


@pytest.mark.parametrize("columns", [["name", "version"], "name, version", ("name, version",)])
def test_columns_that_only_the_join_needs_are_not_shown(rows: DatabaseAdapter, columns: Any) -> None:
    result = rows.table("things").select("label").join("parts", "id", "thing_id", columns).execute()
    assert result.rows == [
        {"label": "a", "parts": [{"name": "y", "version": 1}, {"name": "x", "version": 1}]},
        {"label": "b", "parts": []},
        {"label": "c", "parts": [{"name": None, "version": 1}]},
    ]


def test_columns_that_were_asked_for_stay(rows: DatabaseAdapter) -> None:
    result = rows.table("things").select("id").eq("id", "c").join("parts", "id", "thing_id", "thing_id").execute()
    assert result.rows == [{"id": "c", "parts": [{"thing_id": "c"}]}]
    everything = rows.table("things").select("label").eq("id", "c").join("parts", "id", "thing_id", "*").execute()
    assert everything.rows == [{"label": "c", "parts": rows.table("parts").eq("id", "2").execute().rows}]


def test_rows_that_have_a_record_in_common_do_not_share_it(rows: DatabaseAdapter) -> None:
    first, _, third = rows.table("parts").select("id").join("things", "thing_id", "id", "id, data").execute()
    assert first == {"id": "1", "things": [{"id": "a", "data": {"list": ["a"]}}]}
    first["things"][0]["data"]["list"].append("changed")
    first["things"][0]["id"] = "changed"
    first["things"].append("changed")
    assert third == {"id": "3", "things": [{"id": "a", "data": {"list": ["a"]}}]}


def test_a_table_can_be_joined_to_itself(rows: DatabaseAdapter) -> None:
    result = rows.table("things").select("id").order("id", desc=True).join("things", "title", "title", "id").execute()
    same = [{"id": "a"}, {"id": "b"}, {"id": "c"}]
    assert result.rows == [{"id": name, "things": same} for name in "cba"]


def test_several_joins(rows: DatabaseAdapter) -> None:
    rows.run(Insert("notes", [{"id": "n", "body": "a"}, {"id": "o", "body": "x"}, {"id": "a", "body": "y"}]))
    query = rows.table("things").select("label").join("parts", "id", "thing_id", "id").join("notes", "id", "body", "id")
    assert query.execute().rows == [
        {"label": "a", "parts": [{"id": "1"}, {"id": "3"}], "notes": [{"id": "n"}]},
        {"label": "b", "parts": [], "notes": []},
        {"label": "c", "parts": [{"id": "2"}], "notes": []},
    ]
    query = rows.table("parts").select("id").order("name").limit(2)
    both = query.join("things", "thing_id", "label", "id").join("notes", "name", "body", "id").execute()
    assert both.rows == [
        {"id": "3", "things": [{"id": "a"}], "notes": [{"id": "o"}]},
        {"id": "1", "things": [{"id": "a"}], "notes": [{"id": "a"}]},
    ]


def test_null_belongs_to_nothing(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("notes", [{"id": "a"}, {"id": "b", "body": "t"}]))
    adapter.run(Insert("things", [thing("x"), thing("y", title="t")]))
    for query in (adapter.table("notes"), adapter.table("notes").is_null("body")):
        result = query.join("things", "body", "title", "id").execute()
        assert result.rows[0] == {"id": "a", "body": None, "things": []}
    result = adapter.table("notes").select("id").join("things", "body", "title", "id").execute()
    assert result.rows[1] == {"id": "b", "things": [{"id": "y"}]}


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
def test_values_of_every_kind_meet_their_equals_only(adapter: DatabaseAdapter, column: str, values: list[Any]) -> None:
    adapter.run(Insert("things", [thing(f"{i}", **{column: value}) for i, value in enumerate([*values, None])]))
    result = adapter.table("things").select("id").join("things", column, column, ["id", column]).execute()
    for i, (row, value) in enumerate(zip(result, [*values, None], strict=True)):
        assert row == {"id": f"{i}", "things": [] if value is None else [{"id": f"{i}", column: value}]}


def test_filter_order_range_and_count_are_those_of_the_rows(rows: DatabaseAdapter) -> None:
    query = rows.table("things").select("id", count=True).neq("id", "b").order("id", desc=True)
    result = query.join("parts", "id", "thing_id", "id").limit(1).offset(1).execute()
    assert result.rows == [{"id": "a", "parts": [{"id": "1"}, {"id": "3"}]}]
    assert result.count == 2


def test_no_rows_join_nothing(adapter: DatabaseAdapter) -> None:
    assert adapter.table("things").join("parts", "id", "thing_id").execute().rows == []


@pytest.mark.parametrize("more", [-1, 0, 1, FEW + 1])
def test_more_values_than_a_filter_takes(calm: DatabaseAdapter, more: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joins, "MAX_IN", FEW)
    names = [f"{number:05}" for number in range(FEW + more)]
    calm.run(Insert("things", [thing(name) for name in names], returning=False))
    calm.run(Insert("parts", [part(f"p{name}", name) for name in names], returning=False))
    result = calm.table("parts").select("id").join("things", "thing_id", "id", "id").execute()
    assert result.rows == [{"id": f"p{name}", "things": [{"id": name}]} for name in names]


def test_a_transaction_joins_its_own_writes(rows: DatabaseAdapter) -> None:
    query = rows.table("things").select("id").join("parts", "id", "thing_id", "name")
    before = query.execute().rows
    with pytest.raises(ZeroDivisionError), rows.transaction():  # noqa: PT012
        rows.run(Insert("things", [thing("d")]))
        rows.run(Insert("parts", [part("4", "d", name="new")]))
        rows.run(Update("parts", {"name": "changed"}, id="2"))
        rows.run(Delete("parts", id="3"))
        assert query.execute().rows == [
            {"id": "a", "parts": [{"name": "y"}]},
            {"id": "b", "parts": []},
            {"id": "c", "parts": [{"name": "changed"}]},
            {"id": "d", "parts": [{"name": "new"}]},
        ]
        raise ZeroDivisionError
    assert query.execute().rows == before


Ask = Callable[[DatabaseAdapter], TableQuery]

REFUSED: list[tuple[Ask, type[DataError], str]] = [
    (lambda a: a.table("nothing").join("parts", "id", "thing_id"), NotFound, "no table 'nothing'"),
    (lambda a: a.table("things").join("nothing", "id", "id"), NotFound, "no table 'nothing'"),
    (lambda a: a.table("things").join("sqlite_master", "id", "name"), NotFound, "no table"),
    (lambda a: a.table("things").join("parts", "nothing", "thing_id"), InvalidQuery, "'things' has no column"),
    (lambda a: a.table("things").join("parts", "id", "nothing"), InvalidQuery, "'parts' has no column"),
    (lambda a: a.table("things").join("parts", "id", "thing_id", "label"), InvalidQuery, "'parts' has no column"),
    (lambda a: a.table("things").join("parts", "id", "thing_id", "id, id"), InvalidQuery, "each column once"),
    (lambda a: a.table("things").select("nothing").join("parts", "id", "thing_id"), InvalidQuery, "no column"),
    (lambda a: a.table("things").join("things", "data", "data"), InvalidQuery, "json.*cannot be compared"),
    (lambda a: a.table("things").join("things", "id", "data"), InvalidQuery, "cannot be compared"),
    (lambda a: a.table("things").join("things", "amount", "ratio"), InvalidQuery, "integer.*cannot be compared"),
    (lambda a: a.table("namesakes").join("notes", "id", "id"), InvalidQuery, "would hide"),
    (lambda a: a.table("namesakes").select("id").join("notes", "id", "id"), InvalidQuery, "would hide"),
    (
        lambda a: a.table("things").join("parts", "id", "thing_id").join("parts", "label", "name"),
        InvalidQuery,
        "joined once",
    ),
    (lambda a: a.table("things").join("parts", "id", "thing_id").group_by("title"), InvalidQuery, "a group"),
    (lambda a: a.table("notes").insert({"id": "n"}).join("parts", "id", "name"), InvalidQuery, "takes no .* join"),
    (lambda a: a.table("notes").join("parts", "id", "name").upsert({"id": "n"}), InvalidQuery, "takes no .* join"),
    (lambda a: a.table("things").join("parts", "id", "name").delete().eq("id", "a"), InvalidQuery, "takes no .* join"),
]


@pytest.mark.parametrize(("ask", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_joins_that_do_not_fit_are_refused_before_anything_is_sent(
    calm: DatabaseAdapter, ask: Ask, error: type[DataError], message: str
) -> None:
    calm.run(Insert("things", [thing("a")]))
    before = calm.get_connection_info()["operations"]
    with pytest.raises(error, match=message):
        ask(calm).execute()
    assert calm.get_connection_info()["operations"] == before
    assert [len(calm.table(table).execute()) for table in ("things", "notes")] == [1, 0]


def test_what_is_wrong_with_the_rows_is_refused_as_without_a_join(calm: DatabaseAdapter) -> None:
    with pytest.raises(InvalidQuery, match="cannot be sorted by"):
        calm.table("things").order("data").join("parts", "id", "thing_id").execute()


def test_a_join_is_no_single_operation(calm: DatabaseAdapter) -> None:
    with pytest.raises(InvalidQuery, match="can only be executed"):
        calm.table("things").join("parts", "id", "thing_id").operation()


def test_the_result_says_when_a_part_of_it_came_from_elsewhere() -> None:
    faults = Faults(seconds=0)
    settings = {"retry_count": 0, "circuit_breaker_threshold": 0}
    main = FaultyAdapter(MemoryAdapter(schema=SCHEMA), faults=faults, config=settings)
    spare = MemoryAdapter(schema=SCHEMA)
    spare.run(Insert("things", [thing("a")]))
    spare.run(Insert("parts", [part("old", "a")]))
    manager = ConnectionManager(load_settings(None), {"main": main, "spare": spare})
    manager.run(Insert("things", [thing("a")]))
    query = manager.table("things").select("id").join("parts", "id", "thing_id", "id")
    result = query.execute()
    assert (result.rows, result.source, result.stale_for) == ([{"id": "a", "parts": []}], None, None)
    # The first read is late by nothing, the second is refused.
    faults.next("delay", "refuse")
    result = query.execute()
    assert (result.rows, result.source) == ([{"id": "a", "parts": [{"id": "old"}]}], "spare")
    assert result.stale_for is not None
    manager.disconnect()
