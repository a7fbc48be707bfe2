"""Refusals, and that a refusal changes nothing."""

from __future__ import annotations

import re
from datetime import UTC
from datetime import datetime
from datetime import time
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.errors import NotFound
from database.core.errors import Unsupported
from database.core.kinds.json_texts import MAX_JSON_DEPTH
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.validation import MAX_CONTAINED
from database.core.query.validation import MAX_FILTER_DEPTH
from database.core.query.validation import MAX_IN
from database.core.query.validation import MAX_OPERAND_LENGTH
from database.core.query.validation import MAX_OPERANDS
from database.core.query.validation import MAX_PARTS
from database.core.query.validation import MAX_PATTERN
from database.core.query.validation import MAX_SEARCHED
from database.core.query.validation import MAX_SORT_KEYS
from tests.contract.backends import BACKENDS
from tests.contract.tables import thing

NAN, INFINITY = float("nan"), float("inf")


def nested(depth: int, wrap: Any, core: Any) -> Any:
    """``core`` inside ``depth`` layers of ``wrap``."""
    for _ in range(depth):
        core = wrap(core)
    return core


VALUES: list[tuple[str, Any, str]] = [
    ("title", "a\0b", "NUL"),
    ("title", "\ud83d", "surrogates"),
    ("title", 1, "must be text"),
    ("title", b"bytes", "must be text"),
    ("title", ["a"], "must be text"),
    ("label", None, "must not be null"),
    ("code", "x" * 17, "longer than 16"),
    ("code", UUID("01890000-0000-7000-8000-000000000000"), "must be text"),
    ("amount", True, "must be an integer"),
    ("amount", 1.0, "must be an integer"),
    ("amount", "1", "must be an integer"),
    ("amount", 2**63, "64 bits"),
    ("amount", -(2**63) - 1, "64 bits"),
    ("level", 2**15, "16 bits"),
    ("level", -(2**15) - 1, "16 bits"),
    ("level", 1.0, "must be an integer"),
    ("stock", 3_000_000_000, "32 bits"),
    ("stock", -(2**31) - 1, "32 bits"),
    ("price", 0.5, "must be exact: a Decimal, an integer or text, not a float"),
    ("price", True, "a decimal number"),
    ("price", "1,5", "such as 12.50"),
    ("price", "\u0661", "such as 12.50"),
    ("price", Decimal("0.00001"), "at most 4 digits after the decimal point"),
    ("price", Decimal("1e-400000"), "at most 4 digits after the decimal point"),
    ("price", 10**14, "at most 14 digits before the decimal point"),
    ("price", Decimal("1e400000"), "at most 14 digits before the decimal point"),
    ("price", Decimal("NaN"), "finite"),
    ("day", "2024-02-30", "must be a date"),
    ("day", "20240229", "must be a date"),
    ("day", "2024-02-29T00:00:00Z", "must be a date"),
    ("day", datetime(2024, 2, 29), "must be a date"),  # noqa: DTZ001
    ("day", 1, "must be a date"),
    ("opens", "24:00:00", "must be a time of day"),
    ("opens", "12", "must be a time of day"),
    ("opens", "12:00:00Z", "must be a time of day"),
    ("opens", time(12, tzinfo=UTC), "must not have a time zone"),
    ("noted", datetime(2024, 1, 1, tzinfo=UTC), "must not have a time zone"),
    ("noted", "2024-01-01T00:00:00Z", "must be a timestamp without time zone"),
    ("noted", "2024-01-01T00:00:00+02:00", "must be a timestamp without time zone"),
    ("noted", "2024-01-01", "must be a timestamp without time zone"),
    ("noted", "2024-02-30T00:00:00", "must be a timestamp without time zone"),
    ("noted", 0, "must be a timestamp without time zone"),
    ("cell", "abcde", "longer than 4"),
    ("cell", " abcd", "longer than 4"),
    ("cell", 1, "must be text"),
    ("token", "not-a-uuid", "must be a UUID"),
    ("token", "0" * 32, "must be a UUID"),
    ("token", 1, "must be text"),
    ("ratio", NAN, "finite"),
    ("ratio", -INFINITY, "finite"),
    ("ratio", False, "must be a number"),
    ("ratio", 2**53 + 1, "exact"),
    ("ratio", 10**400, "fit in a double"),
    ("ratio", "0.5", "must be a number"),
    ("done", 1, "true or false"),
    ("done", "true", "true or false"),
    ("seen", datetime(2024, 1, 1), "time zone"),  # noqa: DTZ001
    ("seen", "2024-01-01T00:00:00", "time zone"),
    ("seen", "yesterday", "ISO 8601"),
    ("seen", "0001-01-01T00:00:00+01:00", "years 1 to 9999"),
    ("seen", 0, "ISO 8601"),
    ("data", {"a": [NAN]}, "finite"),
    ("data", {"a\0": 1}, "NUL"),
    ("data", ["\udfff"], "surrogates"),
    ("data", {1: 2}, "must be text"),
    ("data", [2**63], "64 bits"),
    ("data", (1, 2), "must be JSON"),
    ("data", {"when": datetime(2024, 1, 1)}, "must be JSON"),  # noqa: DTZ001
    ("data", nested(MAX_JSON_DEPTH + 1, lambda part: [part], 1), "nested deeper"),
    ("id", "", "must not be empty"),
    ("id", "x" * 256, "longer than 255"),
    ("id", 7, "must be text"),
    ("id", None, "must not be null"),
    ("rank", None, "must not be null"),
    ("nothing", 1, "does not exist"),
    ("id; drop table things", 1, "does not exist"),
]

FILTERS: list[tuple[Any, str]] = [
    (Where("nothing", "eq", 1), "no column 'nothing'"),
    (Where('id" = id or "id', "eq", 1), "no column"),
    (Where("title", "equals", 1), "unknown operator 'equals'"),  # type: ignore[arg-type]
    (Where("title", "eq", None), "use is_null"),
    (Where("title", "in", ["a", None]), "use is_null"),
    (Where("title", "in", "abc"), "must be a list"),
    (Where("title", "in", 5), "must be a list"),
    (Where("amount", "in", [0] * (MAX_IN + 1)), "at most"),
    (Where("title", "is_null", 1), "true or false"),
    (Where("title", "eq", 1), "must be text"),
    (Where("title", "eq", "\0"), "NUL"),
    (Where("title", "like", "a\\"), "escaping backslash"),
    (Where("title", "ilike", "\0"), "NUL"),
    (Where("title", "like", "%" * (MAX_PATTERN + 1)), "at most"),
    (Where("title", "like", 1), "a pattern must be text"),
    (Where("amount", "like", "1%"), "need a text column; column 'amount' is integer"),
    (Where("amount", "contains", 1), "needs a text or JSON column"),
    (Where("amount", "eq", "1"), "integer"),
    (Where("amount", "gt", 2**63), "64 bits"),
    (Where("ratio", "gt", NAN), "finite"),
    (Where("price", "gt", 0.5), "must be exact"),
    (Where("day", "eq", "x"), "must be a date"),
    (Where("opens", "eq", "x"), "must be a time of day"),
    (Where("noted", "gt", datetime(2024, 1, 1, tzinfo=UTC)), "must not have a time zone"),
    (Where("noted", "in", ["x"]), "must be a timestamp without time zone"),
    (Where("token", "eq", 1), "must be text"),
    (Where("price", "gt", Decimal("NaN")), "finite"),
    (Where("price", "like", "1%"), "need a text column; column 'price' is decimal"),
    (Where("done", "eq", 1), "true or false"),
    (Where("seen", "gt", datetime(2024, 1, 1)), "time zone"),  # noqa: DTZ001
    (Where("data", "eq", {}), "only contains and is_null"),
    (Where("data", "in", [{}]), "only contains and is_null"),
    (Where("data", "contains", None), "use is_null"),
    (Where("data", "contains", [NAN]), "finite"),
    (Where("title", "contains", 1), "must be text"),
    (nested(MAX_FILTER_DEPTH + 1, Not, Where("id", "eq", "a")), "nested deeper"),
    (Or((Where("id", "eq", "a"),) * MAX_PARTS), f"at most {MAX_PARTS} conditions"),
    (Or((Or(()),) * MAX_PARTS), f"at most {MAX_PARTS} conditions"),
    (Or((Where("amount", "in", [0] * MAX_IN),) * (MAX_OPERANDS // MAX_IN + 1)), f"at most {MAX_OPERANDS} values"),
    (Where("title", "in", ["a" * MAX_OPERAND_LENGTH, "b"]), f"at most {MAX_OPERAND_LENGTH} characters"),
    (Where("title", "contains", "a" * (MAX_SEARCHED + 1)), f"at most {MAX_SEARCHED} characters"),
    (Or((Where("title", "like", "a" * 900),) * 3), f"at most {MAX_SEARCHED} characters"),
    (Or((Where("title", "ilike", "a" * 900), Where("title", "contains", "b" * 1200))), f"at most {MAX_SEARCHED}"),
    (Where("data", "contains", [[]] * MAX_CONTAINED), f"at most {MAX_CONTAINED} values"),
    (Or((Where("data", "contains", [1, {"a": 2}]),) * (MAX_CONTAINED // 4 + 1)), f"at most {MAX_CONTAINED} values"),
    (Where("data", "contains", {"a" * MAX_OPERAND_LENGTH: "b"}), f"at most {MAX_OPERAND_LENGTH} characters"),
    (And((Or((Where("nothing", "eq", 1),)),)), "no column"),
    ({"id": "a"}, "must consist of Where, And, Or and Not, not dict"),
]

OPERATIONS: list[tuple[Operation, type[DataError], str]] = [
    (Get("nothing", "a"), NotFound, "no table 'nothing'"),
    (Select("things; drop table things"), NotFound, "no table"),
    (Select("pg_catalog.pg_authid"), NotFound, "no table"),
    (Select("sqlite_master"), NotFound, "no table"),
    (Insert("", [{}]), NotFound, "no table"),
    (Get("things", "a\0"), InvalidQuery, "NUL"),
    (Get("things", 1), InvalidQuery, "must be text"),
    (Get("things", "a", ("nothing",)), InvalidQuery, "no column"),
    (
        Select("things", order=(Order("rank"),) * (MAX_SORT_KEYS + 1)),
        InvalidQuery,
        f"at most {MAX_SORT_KEYS} sort keys",
    ),
    (
        Select("things", order=(Order("rank"),) * (MAX_SORT_KEYS + 1), group=("rank",)),
        InvalidQuery,
        f"at most {MAX_SORT_KEYS} sort keys",
    ),
    (Select("things", columns=()), InvalidQuery, "each column once"),
    (Select("things", columns=("id", "id")), InvalidQuery, "each column once"),
    (Select("things", columns=("id", "count(*)")), InvalidQuery, "no column"),
    (Select("things", order=(Order("nothing"),)), InvalidQuery, "no column"),
    (Select("things", order=(Order("id desc"),)), InvalidQuery, "no column"),
    (Select("things", order=(Order("data"),)), InvalidQuery, "cannot be sorted by"),
    *[(Select("things", limit=limit), InvalidQuery, "limit") for limit in (-1, True, 2**63)],
    (Select("things", limit="1"), InvalidQuery, "limit"),  # type: ignore[arg-type]
    (Select("things", offset=-1), InvalidQuery, "offset"),
    (Insert("things", []), InvalidQuery, "no rows"),
    (Insert("things", [{"id": "x"}]), InvalidRow, "'label' of table 'things' is required"),
    (Upsert("things", [{"id": "a"}]), InvalidRow, "is required"),
    (
        Upsert("things", [thing("a")], on_conflict=("title",)),
        InvalidQuery,
        r"unique sets of columns \(id; code\), not title",
    ),
    (Upsert("things", [thing("a")], on_conflict=("code", "title")), InvalidQuery, "not code, title"),
    (Upsert("things", [thing("a")], on_conflict=("nothing",)), InvalidQuery, "no column 'nothing'"),
    (Upsert("things", [thing("a")], on_conflict=("code",), verbatim=True), InvalidQuery, "verbatim"),
    (Upsert("seats", [{"owner_id": "a"}], on_conflict=("room",)), InvalidQuery, r"\(id; .*room, number.*\), not room"),
    (Update("things", {}, id="a"), InvalidQuery, "at least one column"),
    (Update("things", {"nothing": 1}, id="a"), InvalidQuery, "no column"),
    (Update("things", {"id": "b"}, id="a"), InvalidQuery, "cannot be updated"),
    (Update("things", {"version": 9}, id="a"), InvalidQuery, "cannot be updated"),
    (Update("things", {"rank": 1}), InvalidQuery, "needs an id or a filter"),
    (
        Update("things", {"rank": 1}, where=Where("id", "eq", "a"), expected_version=1),
        InvalidQuery,
        "together with an id",
    ),
    (Update("notes", {"body": "x"}, id="a", expected_version=1), InvalidQuery, "no column 'version'"),
    (Delete("things"), InvalidQuery, "needs an id or a filter"),
    (Delete("notes", id="a", expected_version=1), InvalidQuery, "no column 'version'"),
    # Of several mistakes every backend names the same one.
    (Select("things", ("first",), Where("last", "eq", 1), (Order("second"),), limit=-1), InvalidQuery, "'first'"),
    (Select("things", None, Where("last", "eq", 1), (Order("second"),), limit=-1), InvalidQuery, "'second'"),
    (Select("things", None, Where("last", "eq", 1), limit=-1, offset=-1), InvalidQuery, "limit"),
    (Select("things", None, Where("last", "eq", 1), offset=-1), InvalidQuery, "offset"),
    (Select("things", ("first",), Where("last", "eq", 1), group=("zeroth",)), InvalidQuery, "'zeroth'"),
    (Get("things", "a\0", ("first",)), InvalidQuery, "'first'"),
    (Update("things", {"first": 1}), InvalidQuery, "'first'"),
]

UNTRANSLATED: list[tuple[str, str]] = [
    *[(f"{word} table things", word.upper()) for word in ("create", "drop", "truncate", "alter", "explain")],
    *[(f"{word} a", word.upper()) for word in ("begin", "commit", "rollback", "savepoint", "set", "vacuum")],
    ("with a as (select 1) select id from things", "WITH"),
    ("values (1)", "VALUES"),
    ("table things", "TABLE"),
    ("select 1; delete from things", "more than one statement"),
    ("delete from things; select 1", "more than one statement"),
    ("select id from things union select id from parts", "a set operation"),
    ("select things.id from things join parts on true", "a join"),
    ("select things.id from things, parts", "a join"),
    ("select id from (select id from things) as t", "a subquery"),
    ("select (select 1)", "a subquery"),
    ("select id from things where id in (select thing_id from parts)", "a subquery"),
    ("select id from things where id = (select 'a')", "a subquery"),
    ("select id from things where exists (select 1)", "a subquery"),
    ("insert into things (id, label) select id, id from parts", "a subquery"),
    ("select id from things having true", "HAVING"),
    ("select id from things for update", "FOR UPDATE"),
    ("select distinct on (rank) id from things", "DISTINCT ON"),
    ("select id into others from things", "INTO"),
    ("select id from only things", "ONLY"),
    ("select id from things tablesample system (1)", "TABLESAMPLE"),
    ("select id from things fetch first 1 row only", "FETCH"),
    ("select id from pg_catalog.things", "a schema other than public"),
    ("select max(rank) from things", "the function max"),
    ("select pg_sleep(1)", "the function pg_sleep"),
    ("select count(distinct rank) from things", "a count of anything but *"),
    ("select count(title) from things", "a count of anything but *"),
    ("select row_number() over (order by id) from things", "WINDOW"),
    ("select rank + 1 from things", "arithmetic and concatenation"),
    ("select '{}'::jsonb", "JSON as an output"),
    *[(f"select {literal}", "this kind of literal") for literal in ("$$a$$", "E'a'", "B'1'", "X'ff'", "U&'a'")],
    ("select array[1]", "the function array"),
    ("select current_date", "the function current_date"),
    ("select rank::text from things", "a column as a value"),
    ("select '2024-01-01'::date", "a cast to DATE"),
    ("select 'abc'::varchar(2)", "EXPRESSIONS"),
    ("select data ->> 'a' from things", "an operator into JSON"),
    ("select id from things where data ? 'a'", "an operator into JSON"),
    ("select id from things where label ~ 'a'", "a regular expression"),
    ("select id from things where label like 'a!%' escape '!'", "ESCAPE with another character than the backslash"),
    ("select id from things where id = label", "a comparison of two columns"),
    ("select id from things where 1 = 1", "a condition without a column"),
    ("select id from things where rank between symmetric 2 and 1", "SYMMETRIC"),
    ("select id from things where lower(id) = 'a'", "the function lower"),
    ("select id from things where rank::text = '1'", "this cast"),
    ("select id from things where (id, label) = ('a', 'b')", "a row of values"),
    ("select id from things order by lower(id)", "the function lower"),
    ("select rank, count(*) from things group by rank order by 2", "ORDER BY or GROUP BY a count"),
    ("select distinct rank from things group by rank", "DISTINCT with GROUP BY"),
    ("select 'x', count(*) from things group by 1", "GROUP BY a constant"),
    ("select rank from things group by rollup (rank)", "ROLLUP"),
    ("update things set rank = rank + 1", "arithmetic and concatenation"),
    ("update things set label = title", "a column as a value"),
    ("update things set rank = default", "a column as a value"),
    ("update things set (rank, label) = (1, 'x')", "SET of several columns at once"),
    ("update things set rank = 1 from parts", "FROM in an UPDATE"),
    ("delete from things using parts", "USING"),
    ("insert into things default values", "DEFAULT VALUES"),
    ("insert into things (id, label) values ('a', 'x') on conflict do nothing", "ON CONFLICT DO NOTHING"),
    (
        "insert into things (code, label) values ('a', 'x') on conflict (code) do update set label = excluded.label",
        "ON CONFLICT of anything but (id)",
    ),
    (
        "insert into things (id, label) values ('a', 'x') on conflict (id) do update set label = 'y'",
        "ON CONFLICT with SET label to anything but excluded.label",
    ),
    *[
        (
            f"insert into things (id, label, {name}) values ('a', 'x', now()) on conflict (id) do update set {changed}",
            construct,
        )
        for name, changed, construct in (
            (
                "created_at",
                "label = excluded.label, created_at = excluded.created_at",
                "ON CONFLICT with SET created_at",
            ),
            ("updated_at", "label = excluded.label", "ON CONFLICT with SET of other columns than those of the INSERT"),
            (
                "updated_at",
                "label = excluded.label, updated_at = now()",
                "ON CONFLICT with SET of other columns than those of the INSERT",
            ),
        )
    ],
    (
        "insert into things (id, label, rank) values ('a', 'x', 1) on conflict (id) do update set rank = excluded.rank",
        "ON CONFLICT with SET of other columns than those of the INSERT",
    ),
    (
        "insert into things (id, rank) values ('a', 1) on conflict (id) do update set rank = excluded.rank where true",
        "WHERE",
    ),
]


@pytest.fixture(autouse=True)
def _one_thing(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("a")]))


@pytest.mark.parametrize(("column", "value", "message"), VALUES, ids=lambda value: repr(value)[:20])
def test_values_that_not_all_backends_could_keep(calm: DatabaseAdapter, column: str, value: Any, message: str) -> None:
    before = calm.table("things").execute().rows
    good, bad = thing("x"), thing("y") | {column: value}
    for rows in ([bad], [good, bad], [good, thing("z"), *[bad] * 30]):
        for operation in (Insert("things", rows), Upsert("things", rows)):
            with pytest.raises(InvalidRow, match=message) as refused:
                calm.run(operation)
            assert (refused.value.row, refused.value.column) == (rows.index(bad), column)
    with pytest.raises(InvalidQuery):
        calm.run(Update("things", {column: value}, id="a"))
    assert calm.table("things").execute().rows == before


@pytest.mark.parametrize(("where", "message"), FILTERS, ids=lambda value: repr(value)[:40])
def test_filters_without_one_meaning(calm: DatabaseAdapter, where: Filter, message: str) -> None:
    before = calm.table("things").execute().rows
    operations = (
        Select("things", where=where),
        Update("things", {"rank": 1}, where=where),
        Delete("things", where=where),
    )
    for operation in operations:
        with pytest.raises(InvalidQuery, match=message):
            calm.run(operation)
    assert calm.table("things").execute().rows == before


@pytest.mark.parametrize(("operation", "error", "message"), OPERATIONS, ids=lambda value: repr(value)[:40])
def test_operations_that_do_not_fit(
    calm: DatabaseAdapter, operation: Operation, error: type[DataError], message: str
) -> None:
    before = calm.table("things").execute().rows
    with pytest.raises(error, match=message) as refused:
        calm.run(operation)
    assert refused.value.backend == calm.name
    assert refused.value.operation == operation.kind
    assert calm.table("things").execute().rows == before


def test_messages_do_not_repeat_values(calm: DatabaseAdapter) -> None:
    for column in ("amount", "ratio", "done", "seen"):
        with pytest.raises(InvalidRow) as refused:
            calm.run(Insert("things", [thing("x", **{column: "secret"})]))
        assert "secret" not in str(refused.value)


def test_a_long_name_is_cut_short_in_the_message(calm: DatabaseAdapter) -> None:
    with pytest.raises(NotFound) as refused:
        calm.table("t" * 10_000).execute()
    assert len(str(refused.value)) < 200


def test_a_missing_table_is_a_key_error(calm: DatabaseAdapter) -> None:
    with pytest.raises(KeyError):
        calm.table("nothing").execute()


def test_one_query_has_one_verb(calm: DatabaseAdapter) -> None:
    with pytest.raises(InvalidQuery, match="already insert"):
        calm.table("things").insert(thing("b")).delete()
    with pytest.raises(InvalidQuery, match="without a filter"):
        calm.table("things").delete().execute()
    with pytest.raises(InvalidQuery, match="without a filter"):
        calm.table("things").update({"rank": 1}).execute()
    with pytest.raises(InvalidQuery, match="takes no filter"):
        calm.table("things").insert(thing("b")).eq("id", "a").execute()
    with pytest.raises(InvalidQuery, match="takes no order"):
        calm.table("things").delete().eq("id", "a").limit(1).execute()
    with pytest.raises(InvalidQuery, match="direction"):
        calm.table("things").order("id", "sideways")
    assert len(calm.table("things").execute()) == 1


@pytest.mark.parametrize(("text", "construct"), UNTRANSLATED, ids=lambda value: value[:40])
@pytest.mark.parametrize(
    "_backend",
    [case for case in BACKENDS if case.capabilities.sql == "translated"],
    indirect=True,
    scope="session",
    ids=lambda case: case.name,
)
def test_sql_that_is_no_operation(
    calm: DatabaseAdapter, text: str, construct: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = calm.table("things").execute().rows
    with pytest.raises(Unsupported, match=f"^{re.escape(construct)} is not supported in SQL text") as refused:
        calm.execute_query(text)
    assert (refused.value.capability, refused.value.backend) == ("sql", calm.name)
    with pytest.raises(Unsupported):
        calm.execute_batch(["delete from things", text])
    assert calm.table("things").execute().rows == before
    assert not caplog.records
