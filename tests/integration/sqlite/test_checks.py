"""Check constraints about decimals, as they are written into an SQLite file."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

import database.backends.sqlite.alchemy  # noqa: F401  # it says how they are written
from database.core.errors import InvalidQuery


def written(condition: str) -> str:
    table = sa.Table(
        "t",
        sa.MetaData(),
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("price", sa.Numeric(10, 2)),
        sa.Column("units", sa.Integer),
        sa.Column("day", sa.Date),
        sa.CheckConstraint(condition, name="c"),
    )
    text = str(CreateTable(table).compile(dialect=sqlite.dialect()))
    return text[text.index("CONSTRAINT c CHECK (") + 20 :].strip().removesuffix(")").strip().removesuffix(")")


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        ("units > 1.5", "units > 1.5"),
        ("units * 2 > units", "units * 2 > units"),
        ("price > 0", "price > 0"),
        ("price >= 0.50", "price >= 50"),
        ("price > 1.005", "price > 100"),
        ("price = 1.005 or price is null", "(price < -9999999999) or (price is null)"),
        ("not price between 1 and 2.5", "not ((price >= 100) and (price <= 250))"),
        ("price in (1, 2.25)", "price in (100, 225)"),
        ("price > 1 and units < 3 and day >= '2024-02-29'", "(price > 100) and (units < 3) and (day >= '2024-02-29')"),
    ],
)
def test_they_are_about_the_stored_integers(condition: str, text: str) -> None:
    assert written(condition) == text


@pytest.mark.parametrize("condition", ["price * units < 100", "price < units", "price::text like '1%'"])
def test_what_cannot_be_about_them_is_refused(condition: str) -> None:
    with pytest.raises(InvalidQuery, match="constraint c of table 't' cannot be kept on SQLite"):
        written(condition)
