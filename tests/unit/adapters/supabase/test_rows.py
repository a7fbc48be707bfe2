"""Values on their way to PostgREST and back."""

from __future__ import annotations

import json
from datetime import UTC
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.backends.supabase.rows import body
from database.backends.supabase.rows import decode_returned
from database.backends.supabase.rows import decode_selected
from database.backends.supabase.rows import encode
from database.backends.supabase.rows import selected
from database.backends.supabase.rows import url_text
from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import INTEGER_MIN
from database.core.tables.unreadable import ForeignValue
from tests.contract.queries import generated
from tests.contract.tables import SCHEMA

THINGS = SCHEMA.table("things")


@pytest.mark.parametrize(
    ("column", "came", "value"),
    [
        ("amount", str(INTEGER_MAX), INTEGER_MAX),
        ("amount", INTEGER_MIN, INTEGER_MIN),
        ("amount", None, None),
        ("ratio", 1, 1.0),
        ("ratio", 5e-324, 5e-324),
        ("done", False, False),
        ("seen", "2024-01-01T01:00:00.000001+01:00", datetime(2024, 1, 1, 0, 0, 0, 1, UTC)),
        ("seen", "0001-01-01T00:00:00+00:00", datetime(1, 1, 1, tzinfo=UTC)),
        ("seen", "1883-11-18T12:03:57-04:56:02", datetime(1883, 11, 18, 16, 59, 59, tzinfo=UTC)),
        ("title", "null", "null"),
    ],
)
def test_values_have_the_type_of_their_column(column: str, came: Any, value: Any) -> None:
    for decode in (decode_selected, decode_returned):
        (row,) = decode(THINGS, (column,), [{column: came, "count": 1}])
        assert generated.typed(row) == generated.typed({column: value})


def test_documents_are_text_in_a_select_only() -> None:
    text = '{"whole": 1.0, "large": 9223372036854775807}'
    (row,) = decode_selected(THINGS, ("data",), [{"data": text}])
    assert generated.typed(row["data"]) == generated.typed({"whole": 1.0, "large": INTEGER_MAX})
    assert decode_returned(THINGS, ("data",), [{"data": "text"}]) == [{"data": "text"}]


@pytest.mark.parametrize(
    ("column", "came"), [("amount", "x"), ("amount", {}), ("seen", 5), ("seen", "soon"), ("ratio", []), ("data", "{")]
)
def test_other_values_are_foreign(column: str, came: Any) -> None:
    (row,) = decode_selected(THINGS, (column,), [{column: came}])
    assert isinstance(row[column], ForeignValue)


def test_a_missing_column_is_an_error() -> None:
    with pytest.raises(KeyError):
        decode_selected(THINGS, ("id", "label"), [{"id": "a"}])


def test_documents_are_selected_as_text() -> None:
    assert selected(THINGS, ("id", "amount", "ratio", "data")) == ["id", "amount", "ratio", "data::text"]


def test_a_column_with_the_name_of_an_aggregate_comes_with_all_others() -> None:
    table = SCHEMA.table("namesakes")
    assert selected(table, ("id", "count")) == ["*"]
    assert decode_selected(table, ("count",), [{"id": "a", "count": True, "notes": None}]) == [{"count": True}]


@given(value=st.one_of(generated.floats, generated.integers, generated.moments, st.booleans()))
def test_text_in_a_url_is_the_value(value: Any) -> None:
    kinds: dict[type, str] = {float: "ratio", int: "amount", bool: "done", datetime: "seen"}
    kind = THINGS.columns[kinds[type(value)]].kind
    assert generated.typed(kind.parse(url_text(value))) == generated.typed(value)


@given(document=generated.documents)
def test_a_body_keeps_every_value(document: Any) -> None:
    request = {"value": document, "most": INTEGER_MAX}
    assert generated.typed(json.loads(body(request))) == generated.typed(request)


def test_moments_become_text() -> None:
    moment = datetime(2024, 1, 1, tzinfo=UTC)
    assert encode(THINGS.columns["seen"], moment) == moment.isoformat()
    assert encode(THINGS.columns["data"], {"a": 1.0}) == {"a": 1.0}
