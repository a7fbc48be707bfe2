"""Which of SQLAlchemy's types a column may have, and what the refusal of the others says."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from database.columns import json
from database.columns import text
from database.columns import timestamp
from database.core.tables.schema import table_schema

REFUSED: list[tuple[Any, str]] = [
    (sa.CHAR(), "t.c has the type CHAR: declare its length"),
    (sa.NCHAR(6), "columns.text"),
    (sa.NVARCHAR(6), "columns.text"),
    (postgresql.CITEXT(), "ignores case"),
    (sa.String(collation="NOCASE"), "collation NOCASE"),
    (sa.Enum(name="status"), "t.c has the type Enum: it has no labels"),
    (sa.Enum("x" * 64, name="status"), "more than 63 bytes"),
    (sa.Enum("a\0", name="status"), "NUL"),
    (sa.REAL(), "single precision .* use sa.Double"),
    (sa.Float(10), "single precision"),
    (sa.FLOAT(24), "single precision"),
    (sa.Double().with_variant(sa.REAL(), "postgresql"), "single precision"),
    (sa.Numeric(), "declare its digits, at most 18"),
    (sa.Numeric(19, 2), "declare its digits"),
    (sa.Numeric(4, 5), "declare its digits"),
    (sa.Time(timezone=True), "use sa.Time"),
    (postgresql.TIME(precision=0), "round"),
    (sa.Interval(second_precision=3), "leave out all options of sa.Interval"),
    (sa.Interval(native=False), "leave out all options of sa.Interval"),
    (postgresql.INTERVAL(fields="YEAR"), "leave out all options of sa.Interval"),
    (sa.BLOB(), "use sa.LargeBinary"),
    (sa.VARBINARY(), "use sa.LargeBinary"),
    (sa.ARRAY(sa.Integer, dimensions=2), "several dimensions, .* use columns.json"),
    (sa.ARRAY(sa.String(5)), "use sa.Text"),
    (sa.ARRAY(sa.JSON), "use columns.json"),
    (sa.ARRAY(sa.CHAR(5)), "use sa.Text"),
    (sa.ARRAY(sa.Numeric), "declare its digits"),
    (sa.TIMESTAMP().with_variant(sa.String(12), "sqlite"), "must have 19 or 26 characters"),
    (postgresql.TIMESTAMP(precision=0), "round"),
    (sa.DATETIME(), "columns.timestamp.. or, without a time zone, sa.DateTime"),
    (postgresql.TIMESTAMP(timezone=True, precision=0), "round"),
    (sa.DATETIME(timezone=True), "columns.timestamp"),
    (postgresql.MONEY(), "not all backends can store; use one of BigInteger"),
    (sa.PickleType(), "not all backends can store"),
]
TAKEN: list[tuple[Any, str]] = [
    (text(6), "text"),
    (sa.Unicode(6), "text"),
    (sa.Float(), "number"),
    (sa.Float(53), "number"),
    (sa.Double(), "number"),
    (timestamp(), "timestamp"),
    (sa.TIMESTAMP(timezone=True), "timestamp"),
    (sa.DateTime(), "timestamp without time zone"),
    (sa.TIMESTAMP(), "timestamp without time zone"),
    (postgresql.TIMESTAMP(precision=6), "timestamp without time zone"),
    (sa.DateTime().with_variant(sa.String(19), "sqlite"), "timestamp without time zone"),
    (sa.CHAR(6), "text"),
    (postgresql.TIMESTAMP(timezone=True, precision=6), "timestamp"),
    (json(), "json"),
    (postgresql.JSONB(), "json"),
    (sa.Integer(), "integer"),
    (sa.Uuid(), "text"),
    (sa.Enum("todo", "doing", name="status"), "text"),
    (sa.Enum("todo", native_enum=False), "text"),
    (postgresql.ENUM("todo", name="status"), "text"),
    (sa.ARRAY(sa.Integer), "array"),
    (postgresql.ARRAY(sa.Enum("a", name="e"), dimensions=1), "array"),
    (sa.LargeBinary(), "bytes"),
    (postgresql.BYTEA(), "bytes"),
    (sa.Interval(), "interval"),
    (postgresql.INTERVAL(precision=6), "interval"),
    (sa.Date(), "date"),
    (sa.Time(), "time"),
    (sa.Numeric(18, 18), "decimal"),
    (sa.DECIMAL(5), "decimal"),
    (type("Own", (sa.String,), {})(6), "text"),
]


def declared(kind: Any) -> sa.Table:
    return sa.Table("t", sa.MetaData(), sa.Column("id", text(255), primary_key=True), sa.Column("c", kind))


@pytest.mark.parametrize(("kind", "said"), REFUSED)
def test_refused(kind: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table_schema(declared(kind))


@pytest.mark.parametrize(("kind", "name"), TAKEN)
def test_taken(kind: Any, name: str) -> None:
    assert table_schema(declared(kind)).columns["c"].kind.name == name


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (sa.Column("c", sa.Numeric(5, 2), server_default="0.5"), "server_default .* use default="),
        (sa.Column("c", sa.LargeBinary, server_default="a"), "server_default .* use default="),
        (sa.Column("c", sa.ARRAY(sa.Text), server_default="{}"), "server_default .* use default="),
        (sa.Column("c", sa.Interval, server_default="P1D"), "server_default .* use default="),
        (sa.Column("c", sa.Numeric(5, 2), default=0.5), "column t.c: the option default must be exact"),
        (sa.Column("c", sa.SmallInteger, default=40_000), "column t.c: the option default must fit in 16 bits"),
    ],
)
def test_defaults_that_are_none(column: sa.Column[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        table_schema(sa.Table("t", sa.MetaData(), sa.Column("id", text(255), primary_key=True), column))
