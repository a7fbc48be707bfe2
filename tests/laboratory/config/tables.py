"""The tables of the framework's tests, which an application's own ``config/tables.py`` does not change."""

from __future__ import annotations

import sqlalchemy as sa

from database.columns import OWN_ROWS
from database.columns import PUBLIC_READ
from database.columns import json
from database.columns import record_columns
from database.columns import table_metadata
from database.columns import text

metadata = table_metadata()

molecules = sa.Table(
    "molecules",
    metadata,
    *record_columns(),
    sa.Column("name", text(), nullable=False),
    sa.Column("formula", text(), index=True),
    sa.Column("properties", json()),
    info={"access": PUBLIC_READ},
)

protocols = sa.Table(
    "protocols",
    metadata,
    *record_columns(),
    sa.Column("name", text(), nullable=False),
    sa.Column("description", text()),
    sa.Column("steps", json()),
    info={"access": PUBLIC_READ},
)

experiments = sa.Table(
    "experiments",
    metadata,
    *record_columns(),
    sa.Column("name", text(), nullable=False),
    sa.Column("molecule_id", text(255), sa.ForeignKey("molecules.id"), index=True),
    sa.Column("protocol_id", text(255), sa.ForeignKey("protocols.id"), index=True),
    sa.Column("results", json()),
    info={"access": PUBLIC_READ},
)

notes = sa.Table(
    "notes",
    metadata,
    *record_columns(),
    sa.Column("owner_id", text(255), nullable=False, index=True),
    sa.Column("title", text(255), nullable=False),
    sa.Column("body", text()),
    info={"access": OWN_ROWS, "owner": "owner_id"},
)
