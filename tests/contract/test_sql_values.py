"""The values of SQL text: what it returns for declared columns, and which parameters it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from contextlib import nullcontext
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import flask
import pytest

from api.http.json import OrjsonProvider
from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import TransactionError
from database.core.operations import Insert
from tests.contract.tables import thing
from tests.contract.test_sql import translates

SEEN = datetime(2026, 5, 4, 3, 2, 1, 1000, UTC)
EAST = timezone(timedelta(hours=2))
DOCUMENT = {"a": [1, 2.5, None, True], "b": {"c": "d"}}
KEY = UUID("01890000-0000-7000-8000-000000000000")

VALUES = {
    "id": "a",
    "label": "A",
    "rank": 2,
    "title": None,
    "ratio": 0.5,
    "done": True,
    "seen": SEEN,
    "data": DOCUMENT,
}


class Colour(Enum):
    RED = "red"


@pytest.fixture(params=["alone", "in a transaction"])
def around(request: pytest.FixtureRequest, calm: DatabaseAdapter) -> AbstractContextManager[object]:
    return nullcontext() if request.param == "alone" else calm.transaction()


@pytest.fixture
def things(calm: DatabaseAdapter, around: AbstractContextManager[object]) -> Iterator[DatabaseAdapter]:
    rows = [VALUES, thing("b", rank=3, done=False), thing("c", rank=3)]
    calm.run(Insert("things", rows))
    with around:
        yield calm


def exactly(found: Any) -> Any:
    return [{name: (type(value), value) for name, value in row.items()} for row in found]


def test_declared_columns_have_their_types(things: DatabaseAdapter) -> None:
    columns = ", ".join(VALUES)
    expected = exactly([VALUES])
    assert exactly(things.execute_query(f"select {columns} from things where id = 'a'")) == expected
    assert (
        exactly(things.execute_query(f"update things set title = null where id = 'a' returning {columns}")) == expected
    )
    assert exactly(things.execute_batch([f"select {columns} from things where id = 'a'"])[0]) == expected
    renamed = things.execute_query("select seen as s, done as d, data as x from things where id = 'a'")
    assert renamed == [{"s": SEEN, "d": True, "x": DOCUMENT}]
    whole = things.execute_query("select * from things where id = 'a'")
    assert whole == things.table("things").eq("id", "a").execute().rows


def test_columns_of_queries_inside_have_their_types(things: DatabaseAdapter) -> None:
    if translates(things):
        return
    inside = "(select id, seen as s, data from things)"
    for text in (
        "with x as (select seen as s, done, data from things where id = 'a') select s, done, data from x",
        f"select i.s, t.done, i.data from {inside} i join things t on t.id = i.id where t.id = 'a'",
    ):
        assert things.execute_query(text) == [{"s": SEEN, "done": True, "data": DOCUMENT}]


def test_computed_numbers_compare_equal_and_have_a_json_form(things: DatabaseAdapter) -> None:
    if translates(things):
        return
    text = "select sum(rank) as total, avg(rank) as mean, sum(ratio) as r, count(*) as n, max(rank) as most from things"
    (row,) = things.execute_query(text)
    assert (row["total"], row["r"], row["n"], row["most"]) == (8, 0.5, 3, 3)
    assert type(row["total"]) is int
    assert float(row["mean"]) == 8 / 3
    written = OrjsonProvider(flask.Flask(__name__))
    assert written.loads(written.dumps(row)) == {"total": 8, "mean": 8 / 3, "r": 0.5, "n": 3, "most": 3}
    assert things.execute_query("select avg(rank) as mean from things where id <> 'c'") == [{"mean": 2.5}]


INSERT = "insert into things (id, label, rank, created_at, updated_at, version, {0}) values (:k, 'X', 1, :n, :n, 1, :v)"


STORED: tuple[tuple[str, Any, Any], ...] = (
    ("data", DOCUMENT, DOCUMENT),
    ("data", [1, "b", None], [1, "b", None]),
    ("data", ["a", "b"], ["a", "b"]),
    ("data", [1, 2], [1, 2]),
    ("data", [], []),
    ("data", {}, {}),
    ("data", [{"a": [1]}], [{"a": [1]}]),
    ("data", None, None),
    ("seen", SEEN, SEEN),
    ("seen", SEEN.astimezone(EAST), SEEN),
    ("done", True, True),
    ("done", False, False),
    ("amount", Decimal(7), 7),
    ("amount", -(2**63), -(2**63)),
    ("ratio", Decimal("0.1"), 0.1),
    ("ratio", 3, 3.0),
    ("title", KEY, str(KEY)),
    ("title", Colour.RED, "red"),
    ("title", None, None),
)


def test_parameters_are_stored(things: DatabaseAdapter) -> None:
    for number, (column, value, stored) in enumerate(STORED):
        key = f"x{number}"
        params = {"k": key, "n": SEEN, "v": value}
        assert things.execute_query(INSERT.format(column), params) == 1
        found = things.execute_query(f"select {column} from things where id = ?", [key])
        assert exactly(found) == exactly([{column: stored}])
        assert (things.get("things", key) or {})[column] == stored
        if column != "data" and value is not None:
            text = f"select id from things where {column} = :v and id = :k"
            assert things.execute_query(text, params) == [{"id": key}]


def test_parameters_of_all_types_come_back(things: DatabaseAdapter) -> None:
    """A value without a column has no type on SQLite: dates and times come back as text, intervals as microseconds."""
    if translates(things):
        return
    values: dict[str, Any] = {
        "blob": b"\0\xff",
        "day": date(2026, 5, 4),
        "clock": time(3, 2, 1),
        "span": timedelta(seconds=1, microseconds=2),
        "price": Decimal("10.25"),
        "missing": None,
    }
    types = {"blob": "bytea", "day": "date", "clock": "time", "span": "interval", "price": "numeric"}
    expected = values
    if things.sql_dialect == "sqlite":
        types = {"blob": "blob", "day": "text", "clock": "text", "span": "integer", "price": "real"}
        expected = values | {"day": "2026-05-04", "clock": "03:02:01.000000", "span": 1_000_002}
    casts = ", ".join(f"cast(:{name} as {type_}) as {name}" for name, type_ in types.items())
    assert things.execute_query(f"select {casts}, :missing as missing", values) == [expected]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (object(), "the parameter 'v' has the type object"),
        ({"a": object()}, "the parameter 'v' must be JSON"),
        ({"a": Decimal(1)}, "the parameter 'v' must be JSON"),
        ({"a": float("nan")}, "the parameter 'v' must be finite"),
        ("a\0b", "the parameter 'v' must not contain NUL"),
        ({"a": "\0"}, "the parameter 'v' must not contain NUL"),
    ],
)
def test_what_is_no_parameter_is_named(calm: DatabaseAdapter, value: Any, words: str) -> None:
    with pytest.raises(InvalidQuery, match=words):
        calm.execute_query("update things set data = :v where id = 'a'", {"v": value})
    with pytest.raises(InvalidQuery, match=words.replace("'v'", "1")):
        calm.execute_query("update things set data = ? where id = 'a'", [value])


def test_lists_are_json(things: DatabaseAdapter) -> None:
    for data in ([1, 2], [], ["a"], [{"a": 1}]):
        assert things.execute_query("update things set data = ? where id = 'b'", [data]) == 1
        assert things.execute_query("select data from things where id = 'b'") == [{"data": data}]
        assert things.table("things").select("data").eq("id", "b").execute().rows == [{"data": data}]


@pytest.mark.parametrize("given", [None, "A"])
@pytest.mark.parametrize(
    "condition",
    [
        ":n is null or label = :n",
        "(:n is null) or (:n IS  NOT NULL and label = :n)",
        "not :n is not null or label = :n",
    ],
)
def test_a_parameter_may_be_tested_for_null(things: DatabaseAdapter, condition: str, given: str | None) -> None:
    expected = ["a", "b", "c"] if given is None else ["a"]
    text = f"select id from things where {condition} order by id"
    assert [row["id"] for row in things.execute_query(text, {"n": given})] == expected


def test_numbers_may_be_tested_for_null(things: DatabaseAdapter) -> None:
    found = things.execute_query("select id from things where ? is null or rank > ? order by id", [3, 2])
    assert [row["id"] for row in found] == ["b", "c"]
    if not translates(things):
        text = "select id from things where (rank = :r is null) = :f"
        assert len(things.execute_query(text, {"r": 3, "f": False})) == 3
        text = "select id from things where label = coalesce(:n, label)"
        assert len(things.execute_query(text, {"n": None})) == 3


@pytest.mark.parametrize(
    "text",
    [
        "select id, label as id from things",
        "select *, rank from things",
        "select 1 as one, 2 as one",
        "select id, label, id from things where id = 'nobody'",
    ],
)
def test_two_columns_of_one_name_are_refused(calm: DatabaseAdapter, text: str) -> None:
    with pytest.raises(InvalidQuery, match=r"two columns named '(id|rank|one)'; give each its own name with AS"):
        calm.execute_query(text)


@pytest.mark.parametrize("returning", ["id, label as id", "*, rank", "id, id"])
def test_a_write_that_returns_two_columns_of_one_name_writes_nothing(calm: DatabaseAdapter, returning: str) -> None:
    calm.run(Insert("things", [thing("a", title="old")]))
    text = f"update things set title = 'new' where id = 'a' returning {returning}"
    with pytest.raises(InvalidQuery, match="two columns named"):
        calm.execute_query(text)
    with pytest.raises(TransactionError), calm.transaction(), pytest.raises(InvalidQuery, match="two columns named"):
        calm.execute_query(text)
    assert (calm.get("things", "a") or {})["title"] == "old"


def test_joined_tables_with_columns_of_one_name_are_refused(calm: DatabaseAdapter) -> None:
    if translates(calm):
        return
    with pytest.raises(InvalidQuery, match="two columns named 'id'"):
        calm.execute_query("select a.id, b.id from things a join things b on a.id = b.id")
    assert calm.execute_query("select a.id, b.id as other from things a join things b on a.id = b.id") == []


MIDNIGHT = datetime(2024, 2, 29)  # noqa: DTZ001
TIMED: list[tuple[str, Any, str]] = [
    ("day", SEEN, "must be a date"),
    ("day", MIDNIGHT, "must be a date"),
    ("opens", SEEN, "must be a time of day"),
    ("noted", SEEN, "must not have a time zone"),
    ("noted", date(2024, 2, 29), "must be a timestamp without time zone"),
    ("seen", date(2024, 2, 29), "must be a timestamp"),
]


@pytest.mark.parametrize(("column", "value", "words"), TIMED)
def test_dates_and_times_are_those_of_their_column(calm: DatabaseAdapter, column: str, value: Any, words: str) -> None:
    """PostgreSQL converts what is not of its column's type. No other backend stores it as it is."""
    if calm.sql_dialect == "postgres":
        return
    calm.run(Insert("things", [thing("a")]))
    texts = (f"update things set {column} = :v where id = :k", f"select id from things where {column} = :v and id = :k")
    for text in texts:
        with pytest.raises(InvalidQuery, match=words):
            calm.execute_query(text, {"v": value, "k": "a"})
    assert (calm.get("things", "a") or {})[column] is None


def test_dates_and_times_are_stored_in_the_form_of_their_column(calm: DatabaseAdapter) -> None:
    calm.run(Insert("things", [thing("a")]))
    values = {"day": MIDNIGHT.date(), "opens": time(1, 2, 3, 4), "noted": MIDNIGHT, "seen": SEEN}
    for column, value in values.items():
        assert calm.execute_query(f"update things set {column} = ? where id = 'a'", [value]) == 1
        assert calm.execute_query(f"select {column} from things where {column} = ?", [value]) == [{column: value}]
        text = f"select id from things where {column} between ? and ? and {column} in (?)"
        assert calm.execute_query(text, [value, value, value]) == [{"id": "a"}]
        assert (calm.get("things", "a") or {})[column] == value
