"""The application's own tables: DDL, migrations, validation and the HTTP interface are made from them.

Replace them with yours; ``docs/make-it-yours.md`` shows the steps. ``info["access"]`` says who may do what: ``anyone``,
``user`` (signed in), ``owner`` (signed in, and only with rows of whom ``info["owner"]`` names the column),
``role:<name>``, ``permission:<area>:<action>``, or a list of these for whoever one of them is true of, such as
``["owner", "role:staff"]``. A table without it is closed to callers.
"""

from __future__ import annotations

import sqlalchemy as sa

from database.core.columns import OWN_ROWS
from database.core.columns import PUBLIC_READ
from database.core.columns import json
from database.core.columns import record_columns
from database.core.columns import table_metadata
from database.core.columns import text

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
