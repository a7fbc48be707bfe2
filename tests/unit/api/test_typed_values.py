"""Bytes, intervals and enumerations in bodies, query strings, cursors and responses."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.datastructures import MultiDict

from api.http.bodies import read_changes
from api.http.json import OrjsonProvider
from api.records.listing import read_listing
from database import InvalidQuery
from database.columns import text
from database.core.query.filters import And
from database.core.query.filters import Or
from database.core.query.filters import Where
from database.core.tables.schema import table_schema

TABLE = table_schema(
    sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", text(255), primary_key=True),
        sa.Column("raw", sa.LargeBinary(4)),
        sa.Column("span", sa.Interval),
        sa.Column("prices", sa.ARRAY(sa.Numeric(18, 2))),
        sa.Column("mood", sa.Enum("low", "high", name="mood")),
    )
)
VALUES: dict[str, Any] = {
    "raw": b"\xfb\xff",
    "span": timedelta(days=-1, microseconds=-5),
    "mood": "low",
    "prices": [Decimal("1234567890123456.78")],
}
WRITTEN = '{"raw":"+/8=","span":"-P1DT0.000005S","mood":"low","prices":[1234567890123456.78]}'


@pytest.fixture
def app() -> Flask:
    app = Flask("test")
    app.json = OrjsonProvider(app)
    return app


def test_what_is_written_is_read(app: Flask) -> None:
    assert app.json.dumps(VALUES) == WRITTEN
    with app.test_request_context(method="PATCH", data=WRITTEN, content_type="application/json"):
        assert read_changes(TABLE) == VALUES


def test_filters_and_cursors_have_the_values() -> None:
    given = MultiDict({"raw": "eq.-_8=", "span": "gte.-P1DT0.000005S", "mood": "in.(low,nope)"})
    parts = (
        Where("raw", "eq", VALUES["raw"]),
        Where("span", "gte", VALUES["span"]),
        Where("mood", "in", ("low", "nope")),
    )
    assert read_listing(TABLE, given).where == And(parts)
    listed = read_listing(TABLE, MultiDict({"prices": "eq.[1234567890123456.78]"})).where
    assert isinstance(listed, Where)
    assert TABLE.columns["prices"].check(listed.value) == VALUES["prices"]
    for name, value in VALUES.items():
        if name == "prices":
            continue
        listing = read_listing(TABLE, MultiDict({"order": name}))
        cursor = listing.cursor_behind((value, "a"))
        assert read_listing(TABLE, MultiDict({"order": name, "cursor": cursor})).last == (value, "a")


@pytest.mark.parametrize(("name", "text"), [("raw", "a"), ("span", "P1M"), ("span", "1 day")])
def test_what_is_no_value_is_named(name: str, text: str) -> None:
    with pytest.raises(InvalidQuery, match=name):
        read_listing(TABLE, MultiDict({name: f"eq.{text}"}))


def test_declared_lengths_are_in_bytes() -> None:
    with pytest.raises(ValueError, match="must not be longer than 4 bytes"):
        TABLE.columns["raw"].check(b"12345")


@pytest.mark.parametrize(
    ("text", "operator"),
    [
        ("cs", "contains"),
        ("contains", "contains"),
        ("cd", "contained_by"),
        ("ov", "overlaps"),
        ("overlaps", "overlaps"),
    ],
)
def test_arrays_are_asked_for_their_items(text: str, operator: str) -> None:
    where = read_listing(TABLE, MultiDict({"prices": f"{text}.[1.5,2]"})).where
    assert isinstance(where, Where)
    assert (where.operator, where.value) == (operator, [Decimal("1.5"), Decimal(2)])
    inside = read_listing(TABLE, MultiDict({"or": f'(prices.not.{text}."[1.5]",span.is.null)'})).where
    assert isinstance(inside, Or)
