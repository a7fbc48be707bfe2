"""Entries of stores may have vectors."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import text

revision = "0012"
down_revision = "0011"

_TABLE: Final = "isthmus_entries"


def upgrade() -> None:
    """Add the column."""
    op.add_column(_TABLE, sa.Column("vector", text()), schema=_schema())


def downgrade() -> None:
    """Drop the column, with all vectors."""
    op.drop_column(_TABLE, "vector", schema=_schema())


def _schema() -> str | None:
    return "isthmus_private" if op.get_context().dialect.name == "postgresql" else None
