"""The tables of the contract's tests: every kind of column, with and without nulls, and every constraint."""

from __future__ import annotations

from enum import Enum
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

# How check constraints are written on SQLite.
import database.backends.sqlite.alchemy  # noqa: F401
from database.columns import OWN_ROWS
from database.columns import PUBLIC_READ
from database.columns import json
from database.columns import record_columns
from database.columns import text
from database.columns import timestamp
from database.core.tables.schema import Schema
from database.schema.migrations.capture import install as capture

metadata = sa.MetaData()


class Weather(Enum):
    SUN = "sun"
    RAIN = "rain"


class Colour(Enum):
    RED = "red"
    BLUE = "Blue"


def _values(enumeration: type[Enum]) -> list[str]:
    return [one.value for one in enumeration]


# In another order than by code point.
MOODS = ("low", "high", "Zen", "élan", "", "it's")


def _every_kind() -> list[sa.Column[Any]]:
    """A column of every kind."""
    return [
        sa.Column("label", text(), nullable=False),
        sa.Column("rank", sa.BigInteger, nullable=False, default=0),
        sa.Column("code", text(16), unique=True),
        sa.Column("title", text()),
        sa.Column("amount", sa.BigInteger),
        sa.Column("ratio", sa.Double),
        sa.Column("done", sa.Boolean),
        sa.Column("seen", timestamp()),
        sa.Column("data", json()),
        sa.Column("level", sa.SmallInteger),
        sa.Column("stock", sa.Integer),
        sa.Column("price", sa.Numeric(18, 4)),
        sa.Column("day", sa.Date),
        sa.Column("opens", sa.Time),
        sa.Column("noted", sa.DateTime),
        sa.Column("cell", sa.CHAR(4)),
        sa.Column("token", sa.Uuid(as_uuid=False)),
        sa.Column("raw", sa.LargeBinary),
        sa.Column("span", sa.Interval),
        sa.Column("tags", sa.ARRAY(sa.Text)),
        sa.Column("scores", sa.ARRAY(sa.SmallInteger)),
        sa.Column("prices", sa.ARRAY(sa.Numeric(10, 2))),
        sa.Column("weather", sa.Enum(Weather, native_enum=False)),
        sa.Column("mood", sa.Enum(*MOODS, name="things_mood")),
        sa.Column("colour", sa.Enum(Colour, native_enum=False, values_callable=_values)),
    ]


things = sa.Table("things", metadata, *record_columns(), *_every_kind(), info={"access": PUBLIC_READ})

# The same with other keys, and without what the data layer fills in.
tagged = sa.Table(
    "tagged",
    metadata,
    sa.Column("updated_at", timestamp(), nullable=False),
    *_every_kind(),
    sa.Column("tag", sa.Uuid(as_uuid=False), primary_key=True),
)
numbered = sa.Table(
    "numbered",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    *_every_kind(),
)
paired = sa.Table(
    "paired",
    metadata,
    sa.Column("place", sa.Integer, nullable=False),
    *_every_kind(),
    sa.Column("word", text(255), nullable=False),
    sa.PrimaryKeyConstraint("word", "place"),
)

# An array of every kind.
lists = sa.Table(
    "lists",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("texts", sa.ARRAY(text())),
    sa.Column("numbers", sa.ARRAY(sa.BigInteger)),
    sa.Column("doubles", sa.ARRAY(sa.Double)),
    sa.Column("flags", sa.ARRAY(sa.Boolean)),
    sa.Column("moments", sa.ARRAY(timestamp())),
    sa.Column("days", sa.ARRAY(sa.Date)),
    sa.Column("times", sa.ARRAY(sa.Time)),
    sa.Column("notes", sa.ARRAY(sa.DateTime)),
    sa.Column("tokens", sa.ARRAY(sa.Uuid(as_uuid=False))),
    sa.Column("raws", sa.ARRAY(sa.LargeBinary)),
    sa.Column("spans", sa.ARRAY(sa.Interval)),
    sa.Column("moods", sa.ARRAY(sa.Enum(*MOODS, name="things_mood"))),
)

parts = sa.Table(
    "parts",
    metadata,
    *record_columns(),
    sa.Column("thing_id", text(255), sa.ForeignKey("things.id"), nullable=False),
    sa.Column("name", text()),
)

notes = sa.Table(
    "notes",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("body", text()),
)

# Columns with the names of what a query makes: the count of a group, and the rows of a joined table.
namesakes = sa.Table(
    "namesakes",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("count", sa.Boolean),
    sa.Column("notes", text()),
)

# Tables for some callers and not for others.
diaries = sa.Table(
    "diaries",
    metadata,
    *record_columns(),
    sa.Column("owner_id", text(255), nullable=False),
    sa.Column("title", text(), nullable=False),
    info={"access": OWN_ROWS, "owner": "owner_id"},
)

prices = sa.Table(
    "prices",
    metadata,
    *record_columns(),
    sa.Column("amount", sa.BigInteger),
    info={"access": {"read": "permission:prices:read", "write": "seller", "delete": "permission:prices:delete"}},
)

# Everybody's own, and all of them some people's business.
STAFF_TOO = ["owner", "role:staff"]
tickets = sa.Table(
    "tickets",
    metadata,
    *record_columns(),
    sa.Column("owner_id", text(255), nullable=False),
    sa.Column("title", text(), nullable=False),
    info={
        "access": {"read": STAFF_TOO, "write": STAFF_TOO, "delete": ["owner", "permission:tickets:delete"]},
        "owner": "owner_id",
    },
)

# Found by their place as well as by their id, and related to other tables.
seats = sa.Table(
    "seats",
    metadata,
    *record_columns(),
    sa.Column("owner_id", text(255), nullable=False),
    sa.Column("room", text(255)),
    sa.Column("number", sa.BigInteger),
    sa.Column("title", text()),
    # One relation of each kind: to the table itself, two to one table, and one that is unique.
    sa.Column("next_id", text(255), sa.ForeignKey("seats.id")),
    sa.Column("ticket_id", text(255), sa.ForeignKey("tickets.id")),
    sa.Column("spare_id", text(255), sa.ForeignKey("tickets.id")),
    sa.Column("price_id", text(255), sa.ForeignKey("prices.id"), unique=True),
    sa.UniqueConstraint("room", "number"),
    info={"access": OWN_ROWS, "owner": "owner_id"},
)

# What goes with a record that is deleted, what forgets it, and conditions on rows.
shelves = sa.Table("shelves", metadata, sa.Column("id", text(255), primary_key=True))

boxes = sa.Table(
    "boxes",
    metadata,
    *record_columns(),
    sa.Column("shelf_id", text(255), sa.ForeignKey("shelves.id", ondelete="CASCADE"), index=True),
    sa.Column("inside_id", text(255), sa.ForeignKey("boxes.id", ondelete="CASCADE"), index=True),
    sa.Column("beside_id", text(255), sa.ForeignKey("boxes.id", ondelete="SET NULL"), index=True),
    sa.Column("weight", sa.BigInteger),
    sa.Column("name", text()),
    sa.Column("price", sa.Numeric(10, 2)),
    sa.CheckConstraint("price >= 0.50 and price < 100 and not price in (7, 7.25)", name="boxes_price"),
    sa.CheckConstraint("weight < 100 and name <> 'no'", name="boxes_light"),
)

lids = sa.Table(
    "lids",
    metadata,
    *record_columns(),
    sa.Column("box_id", text(255), sa.ForeignKey("boxes.id", ondelete="SET NULL"), index=True),
    sa.Column("kept_id", text(255), sa.ForeignKey("boxes.id"), index=True),
)

# A column for every way to be filled in without being given.
drafts = sa.Table(
    "drafts",
    metadata,
    *record_columns(),
    sa.Column("task", text(), nullable=False),
    sa.Column("token", text(), nullable=False, default=lambda: uuid4().hex),
    sa.Column("slug", text(), default=lambda context: f"{context.get_current_parameters()['task']}-1"),
    sa.Column("tags", json(), default={"of": []}),
    sa.Column("state", text(), nullable=False, server_default="it's a draft"),
    sa.Column("rank", sa.BigInteger, server_default=sa.text("7")),
    sa.Column("open", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("seen", timestamp(), server_default=sa.func.now()),
    sa.Column("touched", text(), onupdate=lambda: uuid4().hex),
    sa.Column("by", text(), default="me", onupdate="you"),
)

# Keys of other names and types, of one column and of several, and records without a version.
elements = sa.Table(
    "elements",
    metadata,
    sa.Column("symbol", text(255), primary_key=True),
    sa.Column("name", text()),
    sa.Column("data", json()),
    info={"access": PUBLIC_READ},
)

devices = sa.Table(
    "devices",
    metadata,
    sa.Column("name", text()),
    sa.Column("device_id", sa.Uuid(as_uuid=False), primary_key=True),
    sa.Column("made_of", text(255), sa.ForeignKey("elements.symbol"), index=True),
    sa.Column("data", json()),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("updated_at", timestamp(), nullable=False),
)

lots = sa.Table(
    "lots",
    metadata,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", text()),
    sa.Column("data", json()),
    sa.Column("inside", sa.BigInteger, sa.ForeignKey("lots.number", ondelete="CASCADE"), index=True),
)

codes = sa.Table(
    "codes",
    metadata,
    sa.Column("code", sa.CHAR(6), primary_key=True),
    sa.Column("name", text()),
)

# Numbered by the database.
orders = sa.Table(
    "orders",
    metadata,
    sa.Column("order_no", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(), primary_key=True),
    sa.Column("name", text()),
    sa.Column("data", json()),
)

# Numbered by the database alone, for callers.
invoices = sa.Table(
    "invoices",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), sa.Identity(always=True), primary_key=True),
    sa.Column("owner_id", text(255), nullable=False),
    sa.Column("order_no", sa.BigInteger, sa.ForeignKey("orders.order_no"), index=True),
    sa.Column("code", text(64), unique=True),
    info={"access": OWN_ROWS, "owner": "owner_id"},
)

# The order of the key is not that of the columns.
grades = sa.Table(
    "grades",
    metadata,
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("name", text()),
    sa.Column("course", text(255), nullable=False),
    sa.Column("data", json()),
    sa.PrimaryKeyConstraint("course", "attempt"),
    info={"access": OWN_ROWS, "owner": "course"},
)

SCHEMA = Schema.of(metadata)


def create_tables(url: str) -> None:
    """Create the tables, and the log of their changes, in the database at SQLAlchemy's ``url``."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        metadata.create_all(connection)
        capture.apply(connection, metadata.sorted_tables)
    engine.dispose()


def thing(id: str, **values: Any) -> dict[str, Any]:  # noqa: A002
    """A row of ``things`` whose label is its id, for tests that need no more."""
    return {"id": id, "label": id, **values}
