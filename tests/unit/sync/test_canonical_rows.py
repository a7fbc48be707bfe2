"""Rows as text."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from datetime import timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.sync.canonical_rows import CanonicalRows
from tests.contract.tables import SCHEMA

FORM = CanonicalRows(SCHEMA.table("things"))
NOW = datetime(2024, 2, 29, 12, 30, 0, 7, UTC)
BLANK: dict[str, Any] = dict.fromkeys(SCHEMA.table("things").columns)

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
integers = st.integers(-(2**63), 2**63 - 1)
floats = st.floats(allow_nan=False, allow_infinity=False)
documents = st.recursive(
    st.none() | st.booleans() | integers | floats | texts,
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(texts, parts, max_size=3),
    max_leaves=8,
)
rows = st.fixed_dictionaries(
    {
        "label": texts,
        "amount": st.none() | integers,
        "ratio": st.none() | floats,
        "done": st.none() | st.booleans(),
        "seen": st.none() | st.datetimes(timezones=st.just(UTC)),
        "data": documents,
        "raw": st.none() | st.binary(max_size=5),
        "tags": st.none() | st.lists(texts, max_size=3),
        "prices": st.none() | st.lists(st.integers(0, 10**10 - 1).map(lambda n: Decimal(n).scaleb(-2)), max_size=3),
        "span": st.none() | st.integers(1 - 2**63, 2**63 - 1).map(lambda units: timedelta(microseconds=units)),
        "price": st.none() | st.integers(1 - 10**18, 10**18 - 1).map(lambda units: Decimal(units).scaleb(-4)),
    }
).map(lambda values: BLANK | values)


@settings(max_examples=40)
@given(rows)
def test_the_row_of_a_text_equals_the_row_it_was_made_from(row: dict[str, Any]) -> None:
    text = FORM.text(row)
    read = FORM.row(text)
    assert read == row
    assert FORM.text(read) == text
    assert read is not None
    assert {name: type(value) for name, value in read.items() if name != "data"} == {
        name: type(value) for name, value in row.items() if name != "data"
    }


@settings(max_examples=40)
@given(rows, rows)
def test_rows_have_one_text_if_they_are_equal(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert FORM.text(one) == FORM.text(dict(reversed(one.items())))
    if FORM.text(one) == FORM.text(other):
        assert one == other


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("data", {"a": 1.0}, {"a": 1}),
        ("data", [-0.0, 1e17], [0, 10**17]),
        ("data", {"a": 1, "b": 2}, {"b": 2, "a": 1}),
        ("ratio", -0.0, 0.0),
    ],
)
def test_what_backends_do_not_tell_apart_is_equal(column: str, one: Any, other: Any) -> None:
    assert FORM.text(BLANK | {column: one}) == FORM.text(BLANK | {column: other})


@pytest.mark.parametrize(
    ("column", "one", "other"),
    [
        ("data", {"a": True}, {"a": 1}),
        ("data", [1], [1, None]),
        ("data", {}, None),
        ("data", 2**53, 2**53 + 1),
        ("data", "1", 1),
        ("title", "", None),
        ("title", "\u00e9", "e\u0301"),
        ("price", Decimal("12345678901234.5678"), Decimal("12345678901234.5679")),
        ("seen", NOW, NOW + timedelta(microseconds=1)),
        ("version", 1, 2),
    ],
)
def test_what_differs_in_any_column_is_different(column: str, one: Any, other: Any) -> None:
    assert FORM.text(BLANK | {column: one}) != FORM.text(BLANK | {column: other})


def test_no_row_has_no_text() -> None:
    assert FORM.text(None) is None
    assert FORM.row(None) is None


def test_a_column_that_is_new_is_none_in_an_old_text() -> None:
    assert FORM.row('{"id":"a","seen":"2024-02-29T13:30:00.000007+01:00"}') == BLANK | {"id": "a", "seen": NOW}
    assert timezone(timedelta(hours=1)).utcoffset(None) == timedelta(hours=1)
