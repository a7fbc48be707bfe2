"""The application's own tables: the source of migrations, validation and the HTTP interface.

Replace them with yours; ``docs/make-it-yours.md`` shows the steps. ``info["access"]`` declares who may do what:
``anyone``, ``user`` (signed in), ``owner`` (signed in, own rows only; ``info["owner"]`` names the column with the
owner's id), ``role:<name>``, ``permission:<area>:<action>``, or a list such as ``["owner", "role:staff"]``, of which
one must apply. A table without access rules is closed to callers.
"""

from __future__ import annotations

import sqlalchemy as sa

from database import columns
from stores import declare_agents
from stores import declare_evaluations

metadata = columns.table_metadata()

molecules = sa.Table(
    "molecules",
    metadata,
    *columns.record_columns(),
    sa.Column("name", columns.text(), nullable=False),
    sa.Column("formula", columns.text(), index=True),
    sa.Column("properties", columns.json()),
    info={"access": columns.PUBLIC_READ},
)

protocols = sa.Table(
    "protocols",
    metadata,
    *columns.record_columns(),
    sa.Column("name", columns.text(), nullable=False),
    sa.Column("description", columns.text()),
    sa.Column("steps", columns.json()),
    info={"access": columns.PUBLIC_READ},
)

experiments = sa.Table(
    "experiments",
    metadata,
    *columns.record_columns(),
    sa.Column("name", columns.text(), nullable=False),
    sa.Column("molecule_id", columns.text(255), sa.ForeignKey("molecules.id"), index=True),
    sa.Column("protocol_id", columns.text(255), sa.ForeignKey("protocols.id"), index=True),
    sa.Column("results", columns.json()),
    info={"access": columns.PUBLIC_READ},
)

notes = sa.Table(
    "notes",
    metadata,
    *columns.record_columns(),
    sa.Column("owner_id", columns.text(255), nullable=False, index=True),
    sa.Column("title", columns.text(255), nullable=False),
    sa.Column("body", columns.text()),
    info={"access": columns.OWN_ROWS, "owner": "owner_id"},
)

declare_agents(metadata)
declare_evaluations(metadata)
