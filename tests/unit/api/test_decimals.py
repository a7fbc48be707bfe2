"""Decimals in bodies, query strings, cursors and responses have all their digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from werkzeug.datastructures import MultiDict

from api.http.bodies import read_changes
from api.http.bodies import read_replacement
from api.http.bodies import read_rows
from api.http.json import OrjsonProvider
from api.records.listing import read_listing
from database import InvalidQuery
from database import InvalidRow
from database.columns import json
from database.columns import text
from database.core.query.filters import Where
from database.core.tables.schema import TableSchema
from database.core.tables.schema import table_schema

# Digits that no double has.
LONG = "1234567890123456.78"


@pytest.fixture(scope="module")
def table() -> TableSchema:
    columns: list[sa.Column[Any]] = [
        sa.Column("id", text(255), primary_key=True),
        sa.Column("price", sa.Numeric(18, 2)),
        sa.Column("data", json()),
    ]
    return table_schema(sa.Table("t", sa.MetaData(), *columns))


@pytest.fixture
def app() -> Flask:
    app = Flask("test")
    app.json = OrjsonProvider(app)
    return app


@pytest.mark.parametrize("written", [LONG, f'"{LONG}"', "1.23456789012345678E+15"])
def test_a_number_is_read_with_its_digits(app: Flask, table: TableSchema, written: str) -> None:
    body = f'{{"price": {written}, "data": {{"price": 0.5}}}}'
    expected = {"price": Decimal(LONG), "data": {"price": 0.5}}
    check = table.columns["price"].check
    with app.test_request_context(method="POST", data=body, content_type="application/json"):
        for row in (
            read_rows(
                table,
            )[0][0],
            read_changes(table),
            read_replacement(table, "a"),
        ):
            row.pop("id", None)
            assert {**row, "price": check(row["price"])} == expected
            assert type(row["data"]["price"]) is float
    with app.test_request_context(method="POST", data=f"[{{}}, {body}]", content_type="application/json"):
        assert check(read_rows(table)[0][1]["price"]) == Decimal(LONG)


def test_a_number_with_too_many_digits_is_an_error_of_its_row(app: Flask, table: TableSchema) -> None:
    body = '{"price": 0.001}'
    with (
        app.test_request_context(method="PATCH", data=body, content_type="application/json"),
        pytest.raises(InvalidRow, match="at most 2 digits after the decimal point"),
    ):
        read_changes(table)


def test_a_response_has_the_digits(app: Flask) -> None:
    given = [Decimal(LONG), Decimal("1.50"), Decimal("0E-10"), Decimal("-1E-7")]
    assert app.json.dumps(given) == f"[{LONG},1.50,0.0000000000,-0.0000001]"


def test_a_filter_may_have_more_digits_than_the_column(table: TableSchema) -> None:
    long = Decimal("-3.9569118590293169957196961505271183975315619133236E-22")
    assert read_listing(table, MultiDict({"price": f"gt.{long}"})).where == Where("price", "gt", long)


def test_filters_and_cursors_have_the_digits(table: TableSchema) -> None:
    listing = read_listing(table, MultiDict({"price": f"lte.{LONG}", "order": "price.desc"}))
    assert listing.where == Where("price", "lte", Decimal(LONG))
    cursor = listing.cursor_behind((Decimal(LONG), "a"))
    behind = read_listing(table, MultiDict({"order": "price.desc", "cursor": cursor}))
    assert behind.last == (Decimal(LONG), "a")
    with pytest.raises(InvalidQuery, match="'price' must be a decimal number"):
        read_listing(table, MultiDict({"price": "eq.a"}))
