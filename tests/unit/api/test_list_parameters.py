"""Conditions of a list on columns that the sample's tables do not have."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
import sqlalchemy as sa
from werkzeug.datastructures import MultiDict

from api.records.listing import Listing
from api.records.listing import read_listing
from database import InvalidQuery
from database import MemoryAdapter
from database import Schema
from database import Select
from database.columns import text
from database.columns import timestamp

NAMES = ("order", "limit", "select", "offset", "cursor", "count", "and", "or", "not.and", "a.b", 'a"b')


def _schema() -> Schema:
    metadata = sa.MetaData()
    sa.Table(
        "tasks",
        metadata,
        sa.Column("id", text(255), primary_key=True),
        sa.Column("done", sa.Boolean),
        sa.Column("due", timestamp()),
        *[sa.Column(name, sa.BigInteger) for name in NAMES],
    )
    return Schema.of(metadata)


SCHEMA = _schema()


def listing(query: str) -> Listing:
    return read_listing(SCHEMA.table("tasks"), MultiDict(parse_qsl(query, keep_blank_values=True)))


def ids(query: str) -> str:
    adapter = MemoryAdapter(schema=SCHEMA)
    rows: list[dict[str, Any]] = [{"id": "a", "done": True}, {"id": "b", "done": False}, {"id": "c"}]
    adapter.table("tasks").insert([row | dict.fromkeys(NAMES, n) for n, row in enumerate(rows)]).execute()
    read = listing(query)
    return "".join(adapter.run(Select("tasks", ("id",), read.where, read.order)).ids)


@pytest.mark.parametrize(
    ("query", "selected"),
    [
        ("done=is.true", "a"),
        ("done=is.false", "b"),
        ("done=is.null", "c"),
        ("done=not.is.true", "bc"),
        ("done=not.is.false", "ac"),
        ("done=not.is.null", "ab"),
        ("or=(done.is.false,not.and(done.not.is.true))", "ab"),
        ("due=is.null", "abc"),
    ],
)
def test_conditions_that_are_never_unknown(query: str, selected: str) -> None:
    assert ids(query) == selected


@pytest.mark.parametrize("query", ["due=is.true", "id=is.false", "done=is.maybe", "done=is.not_true"])
def test_conditions_that_no_value_can_meet(query: str) -> None:
    with pytest.raises(InvalidQuery, match=r"must be is\.null, is\.not_null"):
        listing(query)


@pytest.mark.parametrize("name", NAMES)
def test_a_column_with_the_name_of_a_parameter_is_named_in_quotes(name: str) -> None:
    quoted = '"' + name.replace('"', '\\"') + '"'
    assert ids(f"{quoted}=eq.1") == "b"
    assert ids(f"or=({quoted}.eq.2,{quoted}.eq.1)") == "bc"
    assert ids(f'and=({quoted}.in.("1",7))&id=not.eq.a') == "b"


@pytest.mark.parametrize("name", ["order", "limit", "offset", "cursor", "count", "and", "or", "not.and"])
def test_the_message_says_how_to_name_such_a_column(name: str) -> None:
    with pytest.raises(InvalidQuery, match=f'to name the column {name!r} in a condition, write "{name}"=eq.value'):
        listing(f"{name}=eq.3")
    with pytest.raises(InvalidQuery) as refused:
        listing("due=eq.3")
    assert "to name the column" not in str(refused.value)


@pytest.mark.parametrize("value", ["2026-11-29T00:00:00+00:00", "2026-11-29T00:00:00.5+0200", "2026-11-29T00:00+02"])
@pytest.mark.parametrize("form", ["due=gte.{}", "or=(due.gte.{})", "due=in.(2020-01-01T00:00:00Z,{})"])
def test_a_plus_sign_that_became_a_blank_is_named(form: str, value: str) -> None:
    with pytest.raises(InvalidQuery, match=r"write it as %2B, or the time in UTC with Z"):
        listing(form.format(value))
    assert listing(form.format("2026-11-29T00:00:00%2B00:00")).where is not None


@pytest.mark.parametrize("value", ["yesterday", "2026-11-29 00:00", "2026-11-29T00:00:00", "2026-11-29T00:00:00 UTC"])
def test_other_times_are_refused_without_a_word_of_plus_signs(value: str) -> None:
    with pytest.raises(InvalidQuery) as refused:
        listing(f"due=gte.{value}")
    assert "%2B" not in str(refused.value)
