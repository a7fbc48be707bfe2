"""Related rows: what foreign keys relate to the rows that a query selects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.adapter.builder import TableQuery
from database.core.context import ANONYMOUS
from database.core.context import acting_as
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from tests.contract.callers import ADA
from tests.contract.callers import BOB
from tests.contract.callers import STAFF
from tests.contract.callers import entry
from tests.contract.tables import thing


@pytest.fixture
def rows(adapter: DatabaseAdapter) -> DatabaseAdapter:
    """An adapter to three things with parts, and to seats that are related in every way."""
    fill(adapter)
    return adapter


def fill(adapter: DatabaseAdapter) -> None:
    adapter.run(Insert("things", [thing(name, amount=2**60, data={"list": [name]}) for name in "abc"]))
    parts = [("3", "a", "x"), ("2", "c", None), ("1", "a", "y")]
    adapter.run(Insert("parts", [{"id": key, "thing_id": owner, "name": name} for key, owner, name in parts]))
    adapter.run(Insert("tickets", [entry("t1", ADA), entry("t2", BOB)]))
    adapter.run(Insert("prices", [{"id": "p", "amount": 2**60 + 1}]))
    seats: dict[str, dict[str, Any]] = {
        "s1": {"ticket_id": "t1", "spare_id": "t2", "price_id": "p"},
        "s2": {"ticket_id": "t2", "next_id": "s1"},
        "s3": {"owner_id": BOB.subject, "ticket_id": "t1", "next_id": "s1"},
    }
    for name, values in seats.items():
        adapter.run(Insert("seats", [{"id": name, "owner_id": ADA.subject, **values}]))


ANSWERS: list[tuple[str, str, list[Any]]] = [
    (
        "things",
        "id, parts(id)",
        [
            {"id": "a", "parts": [{"id": "1"}, {"id": "3"}]},
            {"id": "b", "parts": []},
            {"id": "c", "parts": [{"id": "2"}]},
        ],
    ),
    (
        "parts",
        "name,things( id , data )",
        [
            {"name": "y", "things": {"id": "a", "data": {"list": ["a"]}}},
            {"name": None, "things": {"id": "c", "data": {"list": ["c"]}}},
            {"name": "x", "things": {"id": "a", "data": {"list": ["a"]}}},
        ],
    ),
    ("parts", "whole:things(id)", [{"whole": {"id": "a"}}, {"whole": {"id": "c"}}, {"whole": {"id": "a"}}]),
    (
        "things",
        "parts!left(name)",
        [{"parts": [{"name": "y"}, {"name": "x"}]}, {"parts": []}, {"parts": [{"name": None}]}],
    ),
    ("things", "parts!thing_id(id)", [{"parts": [{"id": "1"}, {"id": "3"}]}, {"parts": []}, {"parts": [{"id": "2"}]}]),
    (
        "seats",
        "id, mine:tickets!ticket_id(id), tickets!spare_id(id), prices(id), seats!next_id(id)",
        [
            {"id": "s1", "mine": {"id": "t1"}, "tickets": {"id": "t2"}, "prices": {"id": "p"}, "seats": None},
            {"id": "s2", "mine": {"id": "t2"}, "tickets": None, "prices": None, "seats": {"id": "s1"}},
            {"id": "s3", "mine": {"id": "t1"}, "tickets": None, "prices": None, "seats": {"id": "s1"}},
        ],
    ),
    (
        "tickets",
        "id, seats!ticket_id(id), spared:seats!spare_id(id, ticket_id)",
        [
            {"id": "t1", "seats": [{"id": "s1"}, {"id": "s3"}], "spared": []},
            {"id": "t2", "seats": [{"id": "s2"}], "spared": [{"id": "s1", "ticket_id": "t1"}]},
        ],
    ),
    ("prices", "amount::text, seats(id)", [{"amount": str(2**60 + 1), "seats": {"id": "s1"}}]),
    ("seats", "prices(amount::text)", [{"prices": {"amount": str(2**60 + 1)}}, {"prices": None}, {"prices": None}]),
    ("things", "id::text, amount::text", [{"id": name, "amount": str(2**60)} for name in "abc"]),
]


@pytest.mark.parametrize(("table", "selection", "answer"), ANSWERS, ids=[selection for _, selection, _ in ANSWERS])
def test_rows_have_their_related_rows(rows: DatabaseAdapter, table: str, selection: str, answer: list[Any]) -> None:
    assert rows.table(table).select(selection).execute().rows == answer
    with rows.transaction():
        assert rows.table(table).select(selection).execute().rows == answer


def test_all_columns_of_both(rows: DatabaseAdapter) -> None:
    things = {row["id"]: row for row in rows.table("things").execute()}
    parts = rows.table("parts").execute().rows
    assert rows.table("parts").select("*", "things(*)").execute().rows == [
        part | {"things": things[part["thing_id"]]} for part in parts
    ]
    (row,) = rows.table("things").select("*, amount::text, parts(*)").eq("id", "c").execute()
    assert row == things["c"] | {"amount": str(2**60), "parts": [part for part in parts if part["thing_id"] == "c"]}


def test_filters_order_range_and_single_are_those_of_the_rows(rows: DatabaseAdapter) -> None:
    query = rows.table("things").select("id, parts(id)", count="exact").neq("id", "b").order("id", desc=True)
    result = query.range(1, 1).execute()
    assert (result.rows, result.count) == ([{"id": "a", "parts": [{"id": "1"}, {"id": "3"}]}], 2)
    one = rows.table("parts").select("things(id)").eq("name", "x").single().execute()
    assert one.data == {"things": {"id": "a"}}


def test_rows_that_have_a_record_in_common_do_not_share_it(rows: DatabaseAdapter) -> None:
    first, _, third = rows.table("parts").select("things(data)").execute()
    first["things"]["data"]["list"].append("changed")
    assert third == {"things": {"data": {"list": ["a"]}}}


def test_a_transaction_sees_its_own_writes(rows: DatabaseAdapter) -> None:
    with rows.transaction():
        rows.run(Insert("parts", [{"id": "4", "thing_id": "b"}]))
        rows.run(Update("parts", {"thing_id": "b"}, id="1"))
        rows.run(Delete("parts", id="2"))
        assert [row["parts"] for row in rows.table("things").select("parts(id)").execute()] == [
            [{"id": "3"}],
            [{"id": "1"}, {"id": "4"}],
            [],
        ]
        assert rows.table("parts").select("things(id)").eq("id", "4").execute().rows == [{"things": {"id": "b"}}]


def test_each_relation_is_one_more_read(calm: DatabaseAdapter) -> None:
    fill(calm)
    for selection, reads in (("id", 1), ("id, parts(id)", 2), ("id, parts(id), again:parts(name)", 3)):
        before = _selects(calm)
        assert len(calm.table("things").select(selection).execute()) == 3
        assert _selects(calm) - before == reads


def _selects(adapter: DatabaseAdapter) -> int:
    operations = adapter.get_connection_info()["operations"]
    return int(operations["select"]["ok"]) if "select" in operations else 0


# Callers


def test_callers_get_the_related_rows_that_they_may_read(rows: DatabaseAdapter) -> None:
    seats = "id, tickets!ticket_id(id)"
    tickets = "id, seats!ticket_id(id)"
    with acting_as(ADA):
        assert rows.table("seats").select(seats).execute().rows == [
            {"id": "s1", "tickets": {"id": "t1"}},
            {"id": "s2", "tickets": None},
        ]
        assert rows.table("tickets").select(tickets).execute().rows == [{"id": "t1", "seats": [{"id": "s1"}]}]
    with acting_as(STAFF):
        assert rows.table("tickets").select(tickets).execute().rows == [
            {"id": "t1", "seats": []},
            {"id": "t2", "seats": []},
        ]


@pytest.mark.parametrize("empty", [False, True])
def test_a_table_that_a_caller_may_not_read_is_refused_as_related(adapter: DatabaseAdapter, empty: bool) -> None:
    if not empty:
        fill(adapter)
    for identity, table, selection in (
        (ADA, "seats", "id, prices(id)"),
        (ANONYMOUS, "seats", "id, tickets!ticket_id(id)"),
        (ADA, "prices", "id, seats(id)"),
    ):
        with acting_as(identity), pytest.raises(PermissionDenied):
            adapter.table(table).select(selection).execute()


# Refusals

REFUSED: list[tuple[Callable[[DatabaseAdapter], TableQuery], type[DataError], str]] = [
    (lambda a: a.table("things").select("*, nothing(*)"), NotFound, "no table 'nothing'"),
    (lambda a: a.table("things").select("*, notes(*)"), InvalidQuery, "no foreign key .* 'things' and 'notes'"),
    (lambda a: a.table("things").select("*, things(*)"), InvalidQuery, "no foreign key"),
    (lambda a: a.table("things").select("parts!name(*)"), InvalidQuery, "no foreign key .* named 'name'"),
    (lambda a: a.table("seats").select("tickets(*)"), InvalidQuery, r"tickets!spare_id\(…\) or tickets!ticket_id\(…\)"),
    (lambda a: a.table("things").select("parts(nothing)"), InvalidQuery, "'parts' has no column 'nothing'"),
    (lambda a: a.table("things").select("nothing, parts(id)"), InvalidQuery, "'things' has no column 'nothing'"),
    (lambda a: a.table("things").select("parts()"), InvalidQuery, "must name its columns"),
    (lambda a: a.table("things").select("count(*)"), NotFound, "no table 'count'"),
    (lambda a: a.table("things").select("parts(things(id))"), InvalidQuery, "one level deep"),
    (lambda a: a.table("things").select("parts!inner(id)"), InvalidQuery, "inner is not supported"),
    (lambda a: a.table("things").select("id, parts(id"), InvalidQuery, "parentheses of select do not match"),
    (lambda a: a.table("things").select("id, parts)id("), InvalidQuery, "parentheses of select do not match"),
    (lambda a: a.table("things").select("parts(id), parts(name)"), InvalidQuery, "joined once; give .* names"),
    (lambda a: a.table("things").select("label:parts(id)"), InvalidQuery, "would hide the column"),
    (lambda a: a.table("things").select(", ".join(f"p{n}:parts(id)" for n in range(17))), InvalidQuery, "at most 16"),
    (lambda a: a.table("things").select("*, id"), InvalidQuery, "'\\*' selects all columns; leave out 'id'"),
    (lambda a: a.table("things").select("*", "*"), InvalidQuery, "selects all columns"),
    (lambda a: a.table("things").select("id, amount::int"), InvalidQuery, "the only cast is ::text"),
    (lambda a: a.table("things").select("ratio::text"), InvalidQuery, "only integer columns"),
    (lambda a: a.table("parts").select("things(ratio::text)"), InvalidQuery, "only integer columns"),
    (lambda a: a.table("things").select("amount, amount::text"), InvalidQuery, "each column once"),
    (
        lambda a: a.table("things").select("id, parts(id)").eq("parts.name", "x"),
        InvalidQuery,
        "the table's own columns",
    ),
    (lambda a: a.table("things").select("id, parts(id)").order("parts.name"), InvalidQuery, "the table's own columns"),
    (lambda a: a.table("things").select("parts(id)").group_by("title"), InvalidQuery, "a group"),
    (lambda a: a.table("things").select("amount::text").group_by("amount"), InvalidQuery, "a group"),
    (lambda a: a.table("notes").select("parts(id)").insert({"id": "n"}), InvalidQuery, "takes no .* join"),
]


@pytest.mark.parametrize(("ask", "error", "message"), REFUSED, ids=range(len(REFUSED)))
def test_relations_that_do_not_fit_are_refused(
    calm: DatabaseAdapter, ask: Callable[[DatabaseAdapter], TableQuery], error: type[DataError], message: str
) -> None:
    with pytest.raises(error, match=message):
        ask(calm).execute()


def test_related_rows_are_no_single_operation(calm: DatabaseAdapter) -> None:
    for selection in ("id, parts(id)", "amount::text"):
        with pytest.raises(InvalidQuery, match="can only be executed"):
            calm.table("things").select(selection).operation()
