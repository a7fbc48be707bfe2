"""SQL text as operations: which operation a statement is, with which values, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC
from datetime import datetime

import pytest

from database.backends.memory import MemoryAdapter
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import SqlParams
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Result
from database.declared import declared_schema
from database.translation import run_sql
from database.translation import translate
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing

MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
EVERY_ROW = Where("id", "is_null", False)


def operation(text: str, params: SqlParams = None) -> Operation:
    """What a statement is translated to."""
    return translate(Sql(text, params), SCHEMA).operation


def where(text: str, params: SqlParams = None) -> Filter | None:
    """The filter that a condition is translated to."""
    select = operation(f"select id from things where {text}", params)
    assert isinstance(select, Select)
    return select.where


@pytest.fixture
def things() -> Iterator[MemoryAdapter]:
    adapter = MemoryAdapter(schema=SCHEMA)
    yield adapter
    adapter.disconnect()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("select * from notes", Select("notes", ("id", "body"))),
        ("select body from notes where id = 'a'", Get("notes", "a", ("body",))),
        ("select body from notes where 'a' = id limit 5 offset 0", Get("notes", "a", ("body",))),
        ("select body from notes where id = 'a' limit 0", Select("notes", ("body",), Where("id", "eq", "a"), limit=0)),
        ("select id from public.notes limit all", Select("notes", ("id",))),
        (
            "select body as b from notes order by b desc, notes.id nulls first limit 2::int offset 1",
            Select(
                "notes",
                ("body",),
                order=(Order("body", True, "first"), Order("id", nulls="first")),
                limit=2,
                offset=1,
            ),
        ),
        ("select count(*) from notes", Select("notes", ("id",), limit=0, count=True)),
        ("select distinct body from notes", Select("notes", ("body",), group=("body",))),
        ("select distinct id, body from notes", Select("notes", ("id", "body"))),
        ("select count(1), body from notes group by 2", Select("notes", ("body",), group=("body",))),
        ("select 1 as one, now()", Ping()),
        ("insert into notes values ('a', 'b')", Insert("notes", [{"id": "a", "body": "b"}], returning=False)),
        (
            "insert into notes (body, id) values (default, 'a'), ('b', default) returning id",
            Insert("notes", [{"id": "a"}, {"body": "b"}]),
        ),
        (
            "insert into notes (id, body) values ('a', 'b') on conflict (id) do update set body = excluded.body",
            Upsert("notes", [{"id": "a", "body": "b"}], returning=False),
        ),
        (
            (
                "insert into things (id, label, version) values ('a', 'b', 1) on conflict (id) do update set "
                "label = excluded.label, id = excluded.id, updated_at = now() returning *"
            ),
            Upsert("things", [{"id": "a", "label": "b", "version": 1}]),
        ),
        ("update notes set body = 'x'", Update("notes", {"body": "x"}, where=EVERY_ROW, returning=False)),
        (
            "update notes as n set body = null where n.id > 'a' returning id",
            Update("notes", {"body": None}, where=Where("id", "gt", "a")),
        ),
        ("delete from notes", Delete("notes", where=EVERY_ROW)),
        ("delete from notes returning id", Delete("notes", where=EVERY_ROW, returning=True)),
    ],
)
def test_the_operation_that_a_statement_is(text: str, expected: Operation) -> None:
    assert operation(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("rank = 1", Where("rank", "eq", 1)),
        ("- - 1 < rank", Where("rank", "gt", 1)),
        ("1 <= rank", Where("rank", "gte", 1)),
        ("1 > rank", Where("rank", "lt", 1)),
        ("1 >= rank", Where("rank", "lte", 1)),
        ("1 <> rank", Where("rank", "neq", 1)),
        ("rank <= -9223372036854775808", Where("rank", "lte", -(2**63))),
        ("ratio <> 1e-5", Where("ratio", "neq", 1e-5)),
        ("RANK = '1'", Where("rank", "eq", 1)),
        ("rank = cast('1' as bigint)", Where("rank", "eq", 1)),
        ("label = 'it''s \\'", Where("label", "eq", "it's \\")),
        ("seen = '2024-01-01T00:00:00Z'::timestamptz", Where("seen", "eq", MOMENT)),
        ("seen >= timestamptz '2024-01-01 01:00:00+01:00'", Where("seen", "gte", MOMENT)),
        ("done", Where("done", "eq", True)),
        ("not done", Not(Where("done", "eq", True))),
        ("done = 'true'", Where("done", "eq", True)),
        ("done is not false", Not(And((Where("done", "is_null", False), Where("done", "eq", False))))),
        ("title is null", Where("title", "is_null", True)),
        ("title is not null", Where("title", "is_null", False)),
        ("not title isnull", Not(Where("title", "is_null", True))),
        ("title is not distinct from null", Where("title", "is_null", True)),
        ("rank between 1 and 2", And((Where("rank", "gte", 1), Where("rank", "lte", 2)))),
        ("rank in (1, '2', -3)", Where("rank", "in", (1, 2, -3))),
        ("rank not in (1)", Not(Where("rank", "in", (1,)))),
        ("title not like 'a\\%%'", Not(Where("title", "like", "a\\%%"))),
        ("title !~~* 'a'", Not(Where("title", "ilike", "a"))),
        ("title ilike 'a' escape '\\'", Where("title", "ilike", "a")),
        ("""data @> '{"a": [1.0]}'""", Where("data", "contains", {"a": [1.0]})),
        ("'[1]'::jsonb <@ data", Where("data", "contains", [1])),
        ("true", And(())),
        ("false", Or(())),
        ("rank = 1 or rank = 2 and done", Or((Where("rank", "eq", 1), where("rank = 2 and done") or Or(())))),
        ("(((rank = 1) and ((done))))", And((Where("rank", "eq", 1), Where("done", "eq", True)))),
    ],
)
def test_the_filter_that_a_condition_is(text: str, expected: Filter) -> None:
    assert where(text) == expected


@pytest.mark.parametrize(
    ("text", "selects"),
    [
        ("title = null", []),
        ("not title = null", []),
        ("not not title <> null", []),
        ("title = null or rank = 0", ["a", "b"]),
        ("not (title = null or rank = 1)", []),
        ("not (title = null and rank = 1)", ["a", "b"]),
        ("rank in (0, null)", ["a", "b"]),
        ("rank not in (0, null)", []),
        ("rank not in (1, null)", []),
        ("not (rank not in (0, null))", ["a", "b"]),
        ("title like null", []),
        ("rank between null and 5", []),
        ("not rank between null and -1", ["a", "b"]),
        ("data @> null", []),
        ("title is distinct from null", ["a"]),
        ("done is not true", ["b"]),
        ("not (done is true)", ["b"]),
        ("done", ["a"]),
        ("not done", []),
    ],
)
def test_null_is_unknown_and_not_an_operand(things: MemoryAdapter, text: str, selects: list[str]) -> None:
    things.run(Insert("things", [thing("a", title="t", done=True), thing("b")]))
    assert [row["id"] for row in things.execute_query(f"select id from things where {text}")] == selects


def test_null_parameters_are_nulls(things: MemoryAdapter) -> None:
    things.run(Insert("things", [thing("a", title="t"), thing("b")]))
    for text in ("title = ?", "not title = ?", "rank not in (?)", "rank = ?::int", "rank = -?"):
        assert things.execute_query(f"select id from things where {text}", [None]) == []
    assert things.execute_query("select id from things limit ?", [None]) == [{"id": "a"}, {"id": "b"}]


@pytest.mark.parametrize(
    ("text", "params", "expected"),
    [
        ("label = ? and rank = ?::int", ["x", "1"], And((Where("label", "eq", "x"), Where("rank", "eq", 1)))),
        ("label in (%s, 'a', %s)", ["x", "y"], Where("label", "in", ("x", "a", "y"))),
        (
            "label > :a and label < :b and label <> :a",
            {"b": "2", "a": "1"},
            where("label>'1' and label<'2' and label<>'1'"),
        ),
        ("data @> ?", [{"a": 1}], Where("data", "contains", {"a": 1})),
        ("data @> ?::jsonb", ['{"a": 1}'], Where("data", "contains", {"a": 1})),
        ("seen = ?", [MOMENT], Where("seen", "eq", MOMENT)),
        ("rank = -?", [5], Where("rank", "eq", -5)),
    ],
)
def test_parameters_are_bound_by_their_place_in_the_text(text: str, params: SqlParams, expected: Filter) -> None:
    assert where(text, params) == expected


def test_places_are_those_of_the_text_and_not_of_the_tree() -> None:
    found = operation("select id from notes where body = ? offset ? limit ?", ["x", 1, 2])
    assert found == Select("notes", ("id",), Where("body", "eq", "x"), offset=1, limit=2)


def test_a_parameter_without_a_place_is_refused() -> None:
    # In PostgreSQL comments are nested, so there is no placeholder here.
    with pytest.raises(InvalidQuery, match="has 0 placeholders"):
        operation("select id from notes /* /* */ where id = ? */", ["x"])


def test_a_text_that_was_parsed_takes_other_values() -> None:
    text = "select id from notes where body = ? and id <> 'again'"
    first, second = operation(text, ["x"]), operation(text, ["y"])
    assert (first, second) == (
        Select("notes", ("id",), And((Where("body", "eq", "x"), Where("id", "neq", "again")))),
        Select("notes", ("id",), And((Where("body", "eq", "y"), Where("id", "neq", "again")))),
    )


@pytest.mark.parametrize(
    "text",
    [
        "select id from notes where rank = 1",
        "select id from things where title = 'a",
        "select id from things where ((title = 'secret')",
        "select id frm things where title = 'secret' is",
        "select id from things where rank = 'secret'",
        "select id from things where rank = 'secret'::int",
        "select id from things where data @> 'secret'",
        "select id from things where data @> 'null'",
        "select id from things where data @> 5",
        "select id from things where title @> 'secret'",
        "select id from things where seen > '2024-01-01'",
        "select id from things where rank = 1.5",
        "select id from things where title is true",
        "select id from things where rank = 1e999",
        "select id from things where parts.id = 'a'",
        "select parts.* from things",
        "select id from things order by 2",
        "select id from things order by 0",
        "select id as x, label as x from things order by x",
        "select id, count(*) from things",
        "select * from things group by id",
        "select id from things limit -1",
        "select id from things limit 'a'",
        "select from things",
        "select id",
        "select count(*)",
        "insert into things (id, id) values ('a', 'b')",
        "insert into things (id, label) values ('a', 'b'), ('c')",
        "insert into things (id, data) values ('a', 'secret')",
        "insert into things (id, label, data) values ('x', 'x', 'null')",
        "insert into things (id, label) values ('a', 'b') returning count(*)",
        "insert into things (id, label) values ('a', 'b') returning nobody",
        "update things set rank = 1, rank = 2",
        "update things set id = 'b'",
        "update things set version = 5",
        "update things set rank = -'secret'",
        "",
        ";",
        "-- nothing",
        "select 1 /* /* */ */ */ from things",
        "select id from things where " + "(" * 2000 + "done" + ")" * 2000,
        "select id from things where " + "not " * 2000 + "done",
        "select id from things where rank = " + "9" * 5000,
    ],
    ids=lambda text: text[:50],
)
def test_what_is_wrong_is_refused_without_repeating_values(things: MemoryAdapter, text: str) -> None:
    things.run(Insert("things", [thing("a")]))
    before = things.table("things").execute().rows
    with pytest.raises(InvalidQuery) as refused:
        things.execute_query(text)
    assert "secret" not in str(refused.value)
    assert things.table("things").execute().rows == before


def test_nothing_is_executed_before_the_whole_statement_is_translated() -> None:
    executed: list[Operation] = []

    def execute(operation: Operation) -> Result:
        executed.append(operation)
        return Result()

    for text in ("delete from things where lower(id) = 'a'", "delete from nobody", "delete from things where x = 1"):
        with pytest.raises(DataError):
            run_sql(Sql(text), SCHEMA, execute)
    assert executed == []


def test_a_long_chain_of_conditions_is_one_level_deep(things: MemoryAdapter) -> None:
    things.run(Insert("things", [thing("a"), thing("b")]))
    for word, ids in ((" or ", ["b"]), (" and ", ["b"])):
        text = word.join(["id = 'b'"] * 500)
        assert [row["id"] for row in things.execute_query(f"select id from things where {text}")] == ids


def test_an_insert_is_completed_as_the_operation_is() -> None:
    adapter = MemoryAdapter(schema=declared_schema())
    assert adapter.execute_query("INSERT INTO molecules (name) VALUES ('Water')") == 1
    (row,) = adapter.execute_query("SELECT * FROM molecules WHERE name = 'Water'")
    assert (row["version"], row["formula"], row["created_at"].tzinfo) == (1, None, UTC)
    assert len(row["id"]) == 36
    text = (
        "UPDATE molecules SET properties = '{\"mass\": 18.0}' RETURNING version AS v, properties, 'x' AS x, now() AS t"
    )
    (changed,) = adapter.execute_query(text)
    assert changed.pop("t") >= row["created_at"]
    assert changed == {"v": 2, "properties": {"mass": 18.0}, "x": "x"}
    with pytest.raises(InvalidRow, match="'name' of table 'molecules' is required"):
        adapter.execute_query("INSERT INTO molecules (formula) VALUES ('H2O')")
    adapter.disconnect()


def test_an_upsert_keeps_what_is_not_set(things: MemoryAdapter) -> None:
    text = (
        "insert into things (id, label, rank) values ('a', 'x', 1), ('b', 'y', 2) "
        "on conflict (id) do update set label = excluded.label, rank = excluded.rank returning id, version, title"
    )
    things.run(Insert("things", [thing("a", title="kept")]))
    assert things.execute_query(text) == [
        {"id": "a", "version": 2, "title": "kept"},
        {"id": "b", "version": 1, "title": None},
    ]
