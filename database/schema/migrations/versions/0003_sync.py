"""What sync remembers: its cursors, what both sides agreed on, settled conflicts, and records it could not write."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import json
from database.schema.migrations.columns import record_columns
from database.schema.migrations.columns import text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "isthmus_sync_cursors",
        *record_columns("isthmus_sync_cursors"),
        sa.Column("session", text(64), nullable=False),
        sa.Column("cursors", json(), nullable=False),
    )
    op.create_table(
        "isthmus_sync_records",
        *record_columns("isthmus_sync_records"),
        sa.Column("pair", text(255), nullable=False),
        sa.Column("session", text(64), nullable=False),
        sa.Column("table_name", text(255), nullable=False),
        sa.Column("record_id", text(255), nullable=False),
        sa.Column("row", text()),
    )
    _create_conflicts()
    op.create_table(
        "isthmus_sync_failures",
        *record_columns("isthmus_sync_failures"),
        sa.Column("pair", text(255), nullable=False),
        sa.Column("table_name", text(255), nullable=False),
        sa.Column("record_id", text(255), nullable=False),
        sa.Column("reason", text(), nullable=False),
    )


def downgrade() -> None:
    """Drop the tables."""
    for name in ("failures", "conflicts", "records", "cursors"):
        op.drop_table(f"isthmus_sync_{name}")


def _create_conflicts() -> None:
    op.create_table(
        "isthmus_sync_conflicts",
        *record_columns("isthmus_sync_conflicts"),
        sa.Column("pair", text(255), nullable=False),
        sa.Column("table_name", text(255), nullable=False),
        sa.Column("record_id", text(255), nullable=False),
        sa.Column("rule", text(64), nullable=False),
        sa.Column("base", text()),
        sa.Column("supabase_row", text()),
        sa.Column("convex_row", text()),
        sa.Column("result", text()),
    )
    op.create_index("ix_isthmus_sync_conflicts_table_name", "isthmus_sync_conflicts", ["table_name"])
