"""Filters, orders and groups mean what they mean everywhere: random queries, held against the memory adapter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.backends.buffered.request import Encoder
from database.backends.memory import MemoryAdapter
from database.backends.supabase.rows import body
from database.backends.supabase.rows import decode_groups
from database.backends.supabase.rows import encode
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.filters import complete_order
from database.core.query.validation import checked_select
from database.core.result import Row
from tests.contract.queries import generated
from tests.contract.tables import SCHEMA
from tests.integration.supabase_sql.support import Project
from tests.integration.supabase_sql.support import RefusedError
from tests.integration.supabase_sql.support import Wire
from tests.integration.supabase_sql.support import request
from tests.integration.supabase_sql.support import thing
from tests.integration.supabase_sql.support import where

TABLES = 8
QUERIES = 10
THINGS = SCHEMA.table("things")
ENCODER = Encoder(SCHEMA, encode)


@pytest.fixture
def memory() -> Iterator[MemoryAdapter]:
    """What defines the right answers."""
    adapter = MemoryAdapter(schema=SCHEMA)
    yield adapter
    adapter.disconnect()


def test_random_ranges_hold_and_notice_a_missing_row(project: Project, memory: MemoryAdapter) -> None:
    @settings(max_examples=TABLES)
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        rows = data.draw(generated.rows())
        _fill(project, memory, rows)
        asked = [data.draw(generated.selects(rows)) for _ in range(QUERIES)]
        ranges = [_range(memory, query) for query in asked]
        assert project.call("isthmus_commit", body(request(ranges=ranges)))["replayed"] is False
        for queried in ranges:
            if queried["expected"]:
                short = {**queried, "expected": queried["expected"][1:]}
                assert _stale(project, short)

    ask()


def test_random_groups_are_the_same(project: Project, memory: MemoryAdapter) -> None:
    @settings(max_examples=TABLES)
    @given(data=st.data())
    def ask(data: st.DataObject) -> None:
        rows = data.draw(generated.rows())
        _fill(project, memory, rows)
        for _ in range(QUERIES):
            query = data.draw(generated.groups(rows))
            expected = memory.run(query)
            answer = project.call("isthmus_groups", body(_grouped(query)))
            names = query.columns or query.group
            assert decode_groups(THINGS, names, answer["rows"]) == expected.rows
            assert answer["total"] == expected.count

    ask()


def test_groups_without_an_order_are_ordered_by_themselves(project: Project, memory: MemoryAdapter) -> None:
    _fill(project, memory, [memory.run(Insert("things", [_row(name, rank)])).rows[0] for name, rank in _RANKS])
    asked: Wire = {"table": "things", "group": ["rank"]}
    assert project.call("isthmus_groups", asked) == {
        "rows": [{"rank": 1, "count": 2}, {"rank": 2, "count": 1}],
        "total": None,
    }


@pytest.mark.parametrize(
    "asked",
    [
        {"table": "things", "group": []},
        {"table": "things", "group": ["count"]},
        {"table": "things", "group": ["rank"], "where": {"op": "sounds", "column": "title", "value": "x"}},
        {"table": "things", "group": ["rank"], "where": {"column": "title"}},
    ],
)
def test_a_malformed_query_is_refused(project: Project, asked: Wire) -> None:
    with pytest.raises(RefusedError, match="malformed request") as caught:
        project.call("isthmus_groups", asked)
    assert caught.value.state == "22023"


def test_an_empty_list_holds_for_no_row(project: Project) -> None:
    project.execute("insert into notes values ('a', null), ('b', 'x')")
    members: Wire = {"op": "in", "column": "body", "values": []}
    for filter_, found in ((members, 0), ({"op": "not", "part": members}, 2), (where("body", "is_null", True), 1)):
        answer = project.call("isthmus_groups", {"table": "notes", "group": ["id"], "where": filter_})
        assert len(answer["rows"]) == found


def test_a_column_of_a_domain_is_compared_with_values_outside_of_it(project: Project) -> None:
    project.execute(
        "create domain year as integer check (value between 1901 and 2155);"
        "create domain leap as year check (value % 4 = 0);"
        "create domain code as char(4) check (value <> 'none');"
        "create table films (id text primary key, made year, leap leap, code code);"
        "insert into films values ('a', 2000, 2000, 'ab'), ('b', 2001, null, null)"
    )
    for filter_, found in (
        (where("made", "gt", 1800), ["a", "b"]),
        (where("leap", "lte", 2001), ["a"]),
        ({"op": "in", "column": "made", "values": [1, 2001]}, ["b"]),
        (where("code", "neq", "none"), ["a"]),
        (where("code", "eq", "ab"), ["a"]),
        (where("code", "lt", "abcdefgh"), ["a"]),
    ):
        answer = project.call("isthmus_groups", {"table": "films", "group": ["id"], "where": filter_})
        assert [row["id"] for row in answer["rows"]] == found
    project.execute("drop table films; drop domain code, leap, year")


_RANKS = (("a", 1), ("b", 2), ("c", 1))


def _row(name: str, rank: int) -> Row:
    return {**{key: value for key, value in thing(name).items() if value is not None}, "rank": rank}


def _fill(project: Project, memory: MemoryAdapter, rows: list[Row]) -> None:
    memory.run(Batch((Delete("things", where=Where("id", "is_null", False)), Insert("things", rows))))
    project.execute("delete from things")
    written = [ENCODER.row(THINGS, row) for row in memory.run(Select("things")).rows]
    steps = [{"kind": "insert", "table": "things", "id": row["id"], "row": row} for row in written]
    project.call("isthmus_commit", body(request(steps=steps)))


def _range(memory: MemoryAdapter, query: Select) -> Wire:
    """A query from its first row on, with what memory answers."""
    limit = None if query.limit is None else query.limit + (query.offset or 0)
    order = complete_order(query.order)
    whole = Select("things", columns=query.columns, where=query.where, order=order, limit=limit)
    expected = [ENCODER.row(THINGS, row) for row in memory.run(whole).rows]
    return {**ENCODER.select(checked_select(THINGS, whole)), "expected": expected}


def _grouped(query: Select) -> dict[str, Any]:
    keys = {key.column for key in query.order}
    order = (*query.order, *[Order(name) for name in query.group if name not in keys])
    held = checked_select(THINGS, Select("things", where=query.where)).where
    asked = ENCODER.select(Select("things", where=held, order=order))
    rest = {"group": list(query.group), "limit": query.limit, "offset": query.offset, "count": query.count}
    return {**asked, **rest}


def _stale(project: Project, queried: Wire) -> bool:
    with pytest.raises(RefusedError) as caught:
        project.call("isthmus_commit", body(request(ranges=[queried])))
    return caught.value.state == "IS409"
