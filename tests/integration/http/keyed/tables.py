"""Keys of every type; one table has versions."""

from __future__ import annotations

import sqlalchemy as sa

from database.columns import json
from database.columns import text
from database.columns import timestamp

metadata = sa.MetaData()

OPEN = {"access": {"read": "anyone", "write": "anyone", "delete": "anyone"}}

elements = sa.Table(
    "elements",
    metadata,
    sa.Column("symbol", text(255), primary_key=True),
    sa.Column("name", text()),
    sa.Column("data", json()),
    info=OPEN,
)
lots = sa.Table(
    "lots",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", text()),
    sa.Column("data", json()),
    info=OPEN,
)
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("order_no", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("name", text()),
    info=OPEN,
)
devices = sa.Table(
    "devices",
    metadata,
    sa.Column("device_id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("name", text()),
    sa.Column("data", json()),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("updated_at", timestamp(), nullable=False),
    info=OPEN,
)
grades = sa.Table(
    "grades",
    metadata,
    sa.Column("course", text(255), nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("name", text()),
    sa.Column("data", json()),
    sa.PrimaryKeyConstraint("course", "attempt"),
    info=OPEN,
)

# A column of every type that has more in JSON than JSON has.
measures = sa.Table(
    "measures",
    metadata,
    sa.Column("at", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("price", sa.Numeric(18, 4)),
    sa.Column("day", sa.Date),
    sa.Column("opens", sa.Time),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("span", sa.Interval),
    sa.Column("mood", sa.Enum("calm", "it's", name="measures_mood")),
    sa.Column("tags", sa.ARRAY(sa.Text)),
    sa.Column("prices", sa.ARRAY(sa.Numeric(10, 2))),
    sa.Column("days", sa.ARRAY(sa.Date)),
    sa.Column("big", sa.BigInteger),
    info=OPEN,
)
