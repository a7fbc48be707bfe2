"""The sample's notes, each with an owner."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import record_columns
from database.schema.migrations.columns import text

revision = "sample2"
down_revision = "sample1"

adopts = "0004"
"""Isthmus's own migration that created this table before: a database that has it must not create it again."""


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "notes",
        *record_columns("notes"),
        sa.Column("owner_id", text(255), nullable=False),
        sa.Column("title", text(255), nullable=False),
        sa.Column("body", text()),
    )
    op.create_index("ix_notes_owner_id", "notes", ["owner_id"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("notes")
