"""The sample's tables: molecules, protocols and experiments."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import json
from database.schema.migrations.columns import record_columns
from database.schema.migrations.columns import text

revision = "sample1"
down_revision = None

adopts = "0001"
"""Isthmus's own migration that created these tables before: a database that has them must not create them again."""


def upgrade() -> None:
    """Create the tables, parents first."""
    _create_molecules()
    _create_protocols()
    _create_experiments()


def downgrade() -> None:
    """Drop the tables, children first."""
    for name in ("experiments", "protocols", "molecules"):
        op.drop_table(name)


def _create_molecules() -> None:
    op.create_table(
        "molecules",
        *record_columns("molecules"),
        sa.Column("name", text(), nullable=False),
        sa.Column("formula", text()),
        sa.Column("properties", json()),
    )
    op.create_index("ix_molecules_formula", "molecules", ["formula"])


def _create_protocols() -> None:
    op.create_table(
        "protocols",
        *record_columns("protocols"),
        sa.Column("name", text(), nullable=False),
        sa.Column("description", text()),
        sa.Column("steps", json()),
    )


def _create_experiments() -> None:
    op.create_table(
        "experiments",
        *record_columns("experiments"),
        sa.Column("name", text(), nullable=False),
        sa.Column("molecule_id", text(255)),
        sa.Column("protocol_id", text(255)),
        sa.Column("results", json()),
        sa.ForeignKeyConstraint(["molecule_id"], ["molecules.id"], name="fk_experiments_molecule_id"),
        sa.ForeignKeyConstraint(["protocol_id"], ["protocols.id"], name="fk_experiments_protocol_id"),
    )
    op.create_index("ix_experiments_molecule_id", "experiments", ["molecule_id"])
    op.create_index("ix_experiments_protocol_id", "experiments", ["protocol_id"])
