from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.backends.buffered.request import Encoder
from database.backends.convex.codec import decode_row
from database.backends.convex.codec import encode
from database.core.operations import Select
from database.core.query.evaluation import selector
from database.core.query.evaluation import sort
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Operator
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.filters import after
from database.core.query.filters import complete_order
from database.core.query.steps import Steps
from tests.integration.convex_functions.support import BY_ID
from tests.integration.convex_functions.support import SCHEMA
from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import Row
from tests.integration.convex_functions.support import insert
from tests.integration.convex_functions.support import sample

SAMPLES = SCHEMA.table("samples")
ENCODER = Encoder(SCHEMA, encode)

# A small world, in which values meet: texts whose order by UTF-16 is another than by code point, both zeros.
VALUES: dict[str, list[Any]] = {
    "lot": [None, "", "a", "B", "\uffff", "😀", "\U0010ffff"],
    "rank": [0, 1, 2],
    "amount": [None, -(2**63), -1, 0, 2**53, 2**53 + 1],
    "mass": [None, -0.0, 0.0, 0.5, 1e300],
    "done": [None, False, True],
    "note": [None, "", "Ab%", "a_b", "\\", "é😀"],
}
IDS = ["a", "b", "B", "\uffff", "😀", "é", "e\u0301", "\U0010ffff"]
TEXTS = ["", "A", "É", "a", "a\nb", "a_b", "é", "😀", "\\"]
BIG = "x" * 500_000
"""A text of which a dozen are as much as one call reads."""

COLUMNS = {column: st.sampled_from(values) for column, values in VALUES.items()}
rows = st.lists(st.sampled_from(IDS), unique=True, min_size=1).flatmap(
    lambda ids: st.tuples(*[st.fixed_dictionaries({"id": st.just(name), **COLUMNS, "data": st.none()}) for name in ids])
)


@st.composite
def conditions(draw: st.DrawFn) -> Filter:
    column = draw(st.sampled_from(["id", *VALUES]))
    values = IDS if column == "id" else [value for value in VALUES[column] if value is not None]
    operators: list[Operator] = ["eq", "neq", "gt", "gte", "lt", "lte", "in", "is_null"]
    operator = draw(st.sampled_from(operators))
    if operator == "is_null":
        return Where(column, "is_null", draw(st.booleans()))
    if operator == "in":
        return Where(column, "in", tuple(draw(st.lists(st.sampled_from(values), max_size=3))))
    return Where(column, operator, draw(st.sampled_from(values)))


filters = st.recursive(
    conditions(),
    lambda part: st.one_of(
        part.map(Not),
        st.lists(part, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(part, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=4,
)
orders = st.lists(
    st.builds(Order, st.sampled_from(["id", *VALUES]), st.booleans(), st.sampled_from([None, "first", "last"])),
    max_size=2,
    unique_by=lambda key: key.column,
)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), world=rows)
def test_every_plan_gives_the_rows_in_the_order_of_the_definition(
    store: Functions, data: st.DataObject, world: tuple[Row, ...]
) -> None:
    _replace_all(store, world)
    for _ in range(15):
        query = _drawn(data, world)
        found = [row for row in world if selector(query.where, Steps())(row)]
        expected = sort(found, query.order, Steps())[: query.limit]
        count = data.draw(st.booleans())
        answer = _select(store, query, count=count)
        assert answer["rows"] == expected
        assert answer["total"] == (len(found) if count else None)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), world=rows)
def test_groups_are_counted(store: Functions, data: st.DataObject, world: tuple[Row, ...]) -> None:
    _replace_all(store, world)
    group = data.draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=2, unique=True))
    where = data.draw(st.none() | filters)
    expected = Counter(tuple(row[name] for name in group) for row in world if selector(where, Steps())(row))
    answer = _select(store, Select("samples", where=where), group=group)
    found = {tuple(row[name] for name in group): row["count"] for row in answer["rows"]}
    assert len(found) == len(answer["rows"])
    assert found == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (Where("note", "eq", "x"), None),
        (Not(Where("note", "eq", "x")), None),
        (Where("note", "in", ("x",)), None),
        (Where("note", "in", ()), False),
        (Not(Where("note", "in", ())), True),
        (Where("note", "like", "%"), None),
        (Where("note", "contains", ""), None),
        (Where("note", "is_null", True), True),
        (Where("note", "is_null", False), False),
        (And((Where("note", "eq", "x"), Where("rank", "eq", 1))), False),
        (And((Where("note", "eq", "x"), Where("rank", "eq", 0))), None),
        (Or((Where("note", "eq", "x"), Where("rank", "eq", 0))), True),
        (Or((Where("note", "eq", "x"), Where("rank", "eq", 1))), None),
        (And(()), True),
        (Or(()), False),
        (Not(Or(())), True),
    ],
)
def test_null_is_neither_true_nor_false(store: Functions, where: Filter, expected: bool | None) -> None:
    store.commit(insert("samples", sample("s")))
    holds, fails = (bool(_select(store, Select("samples", where=part))["rows"]) for part in (where, Not(where)))
    assert (holds, fails) == (expected is True, expected is False)


@pytest.mark.parametrize(
    ("operator", "pattern", "expected"),
    [
        ("like", "a%", ["a", "a\nb", "a_b"]),
        ("like", "a_b", ["a\nb", "a_b"]),
        ("like", "a\\_b", ["a_b"]),
        ("like", "_", ["A", "É", "a", "é", "😀", "\\"]),
        ("like", "%b", ["a\nb", "a_b"]),
        ("like", "\\\\", ["\\"]),
        ("like", "", [""]),
        ("like", "%", TEXTS),
        ("ilike", "A", ["A", "a"]),
        ("ilike", "É", ["É"]),
        ("contains", "_", ["a_b"]),
        ("contains", "", TEXTS),
    ],
)
def test_texts_that_match(store: Functions, operator: Any, pattern: str, expected: list[str]) -> None:
    store.commit(*[insert("samples", sample(f"{n}", note=text)) for n, text in enumerate(TEXTS)])
    found = _select(store, Select("samples", where=Where("note", operator, pattern)))["rows"]
    assert sorted(row["note"] for row in found) == sorted(expected)


def test_a_pattern_takes_no_more_than_its_length_times_the_texts(store: Functions) -> None:
    store.commit(insert("samples", sample("s", note="a" * 3_000)))
    where = Where("note", "like", "%a" * 400 + "b")
    assert _select(store, Select("samples", where=where))["rows"] == []


@pytest.mark.parametrize(
    ("document", "part", "expected"),
    [
        ({"a": 1.0, "b": {"c": [1.0, 2.0]}}, {"b": {"c": [2.0]}}, True),
        ({"a": 1.0}, {"a": 1}, True),
        ({"a": 2**60}, {"a": float(2**60)}, True),
        ({"a": 1.0}, {"a": True}, False),
        ({"a": None}, {"a": None}, True),
        ({}, {"a": None}, False),
        ([1.0, "x"], "x", True),
        ([[1.0, "x"]], "x", False),
        ([[1.0, 2.0], [3.0]], [[2.0]], True),
        ([1.0, 1.0], [1.0, 1.0, 1.0], True),
        ("x", ["x"], False),
        ({"a": "x"}, {}, True),
        ([], {}, False),
        ("toString", "toString", True),
        ({}, {"toString": None}, False),
    ],
)
def test_documents_contain_as_in_postgres(store: Functions, document: Any, part: Any, expected: bool) -> None:
    store.commit(insert("samples", sample("s", data=document)))
    where = {"op": "contains", "column": "data", "value": part}
    assert bool(store.ids("samples", where=where)) is expected


def test_all_of_a_large_table_is_read_in_pages(store: Functions) -> None:
    store.seed("samples", [sample(f"{n:05}", rank=n % 3) for n in range(9_000)])
    pages = store.pages("samples", count=True)
    assert [row["id"] for page in pages for row in page["rows"]] == [f"{n:05}" for n in range(9_000)]
    assert [page["total"] for page in pages] == [4_000, 4_000, 1_000]
    groups: Counter[int] = Counter()
    for page in store.pages("samples", group=["rank"]):
        groups.update({row["rank"]: row["count"] for row in page["rows"]})
    assert groups == {0: 3_000, 1: 3_000, 2: 3_000}


@pytest.mark.parametrize(
    ("where", "order"),
    [
        (None, [Order("id")]),
        (None, [Order("id", descending=True)]),
        (None, [Order("rank")]),
        (None, [Order("rank", descending=True), Order("id", descending=True)]),
        (None, [Order("note")]),
        (Where("lot", "eq", "😀"), [Order("id", descending=True)]),
        (Where("lot", "in", ("a", "😀")), [Order("rank")]),
        (Where("id", "in", tuple(f"{n:02}" for n in range(40))), [Order("id", descending=True)]),
        (Where("amount", "gte", 0), [Order("amount", descending=True), Order("id", descending=True)]),
        (Where("id", "gt", "03") & Where("id", "lt", "30"), [Order("id")]),
    ],
)
def test_no_page_repeats_or_leaves_out_a_row(store: Functions, where: Filter | None, order: list[Order]) -> None:
    world = [
        sample(f"{n:02}", lot="a" if n % 7 else "😀", rank=n % 3, amount=n % 5 or None, note=BIG) for n in range(32)
    ]
    store.seed("samples", world, at_once=8)
    query = Select("samples", where=where, order=complete_order(order))
    pages = store.pages(**ENCODER.select(query))
    assert len(pages) > 1 or where == Where("lot", "eq", "😀")
    expected = sort([row for row in world if selector(where, Steps())(row)], query.order, Steps())
    merged = [row for page in pages for row in page["rows"]]
    assert Counter(row["id"] for row in merged) == Counter(row["id"] for row in expected)
    assert sort(merged, query.order, Steps()) == expected


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("where", "order"),
    [
        (None, []),
        (None, ["lot", "place", "side"]),
        (None, ["place"]),
        (None, ["rank"]),
        (None, ["rank", "lot", "place", "side"]),
        (Where("lot", "eq", "b"), ["lot", "place", "side"]),
        (Where("lot", "in", ("c", "a")), ["lot", "place", "side"]),
        (Where("rank", "eq", 1), ["lot", "place", "side"]),
        (Where("place", "gt", -1) & Where("lot", "gte", "b"), ["rank"]),
    ],
)
def test_pages_of_a_key_of_several_columns(
    store: Functions, where: Filter | None, order: list[str], *, descending: bool
) -> None:
    world = [
        {"lot": lot, "place": place, "side": side, "rank": place % 2, "note": BIG}
        for lot in ("a", "b", "c")
        for place in (-1, 2, 10)
        for side in ("", "l", "r,")
    ]
    store.seed("shares", world, at_once=8)
    key = SCHEMA.table("shares").key
    complete = complete_order([Order(name, descending) for name in order], key)
    query = Select("shares", where=where, order=complete)
    merged = [row for page in store.pages(**ENCODER.select(query)) for row in page["rows"]]
    expected = sort([row for row in world if selector(where, Steps())(row)], complete, Steps())
    assert sort(merged, complete, Steps()) == expected
    if order not in ([], ["place"]) and complete[-1] == Order(key[-1], descending):
        assert merged == expected


def test_reading_in_order_ends_with_the_limit(store: Functions) -> None:
    world = [sample(f"{n:02}", rank=n, note=BIG) for n in range(32)]
    store.seed("samples", world, at_once=8)
    behind = {"op": "gt", "column": "id", "value": "24"}
    assert [len(page["rows"]) for page in store.pages("samples", where=behind, limit=3.0)] == [3]
    descending = [{"column": name, "descending": True, "nulls_first": True} for name in ("rank", "id")]
    assert [len(page["rows"]) for page in store.pages("samples", order=descending, limit=3.0)] == [3]
    by_note = [{"column": "note", "descending": False, "nulls_first": False}, *BY_ID]
    assert len(store.pages("samples", order=by_note, limit=3.0)) > 1


def test_rows_of_several_look_ups_are_sorted(store: Functions) -> None:
    store.seed("samples", [sample("a", lot="y"), sample("b", lot="x"), sample("c", lot="y")])
    where = {"op": "in", "column": "lot", "values": ["x", "y", "y"]}
    assert store.ids("samples", where=where) == ["a", "b", "c"]
    assert store.ids("samples", where=where, limit=1.0) == ["a"]
    by_rank = [{"column": "rank", "descending": False, "nulls_first": False}, *BY_ID]
    assert store.ids("samples", where=where, order=by_rank) == ["a", "b", "c"]
    two_ids = {"op": "in", "column": "id", "values": ["c", "a", "c"]}
    assert store.ids("samples", where=two_ids, order=[BY_ID[0] | {"descending": True}]) == ["c", "a"]


def test_a_column_that_is_younger_than_a_record_is_null_in_it(store: Functions) -> None:
    store.seed("samples", [{"id": "b", "rank": 0}, sample("a")])
    assert store.get("samples", "b") == sample("b")
    assert store.ids("samples", where={"op": "is_null", "column": "amount", "value": True}) == ["a", "b"]
    by_amount = [{"column": "amount", "descending": False, "nulls_first": True}, *BY_ID]
    assert store.ids("samples", order=by_amount, limit=1.0) == ["a"]
    changed = {"kind": "update", "table": "samples", "id": "b", "row": sample("b", amount=1)}
    store.commit(changed, reads=[{"table": "samples", "id": "b", "expected": sample("b")}])
    assert store.get("samples", "b") == sample("b", amount=1)


def test_no_rows_are_wanted(store: Functions) -> None:
    store.commit(insert("samples", sample("s")))
    assert store.select("samples", limit=0.0) == {"rows": [], "total": None, "next": None}
    assert store.select("samples", limit=0.0, count=True) == {"rows": [], "total": 1, "next": None}


def _drawn(data: st.DataObject, world: tuple[Row, ...]) -> Select:
    order = complete_order(data.draw(orders))
    where = data.draw(st.none() | filters)
    if data.draw(st.booleans()):
        last = data.draw(st.sampled_from(world))
        behind = after(order, [last[key.column] for key in order])
        where = behind if where is None else where & behind
    return Select("samples", where=where, order=order, limit=data.draw(st.none() | st.integers(0, 4)))


def _select(store: Functions, query: Select, **arguments: Any) -> Row:
    """The first page, with the rows as the adapter decodes them."""
    wire = ENCODER.select(query)
    limit = None if query.limit is None else float(query.limit)
    answer = store.select(**wire | {"limit": limit, "order": wire["order"] or BY_ID} | arguments)
    if "group" in arguments:
        return answer
    return answer | {"rows": [decode_row(SAMPLES, row) for row in answer["rows"]]}


def _replace_all(store: Functions, world: tuple[Row, ...]) -> None:
    old = store.select("samples")["rows"]
    deletes = [{"kind": "delete", "table": "samples", "id": row["id"], "row": None} for row in old]
    reads = [{"table": "samples", "id": row["id"], "expected": {}} for row in old]
    store.commit(*deletes, *[insert("samples", row) for row in world], reads=reads)
