"""The entries of stores in the database."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import record_columns
from database.schema.migrations.columns import text
from database.schema.migrations.columns import timestamp

revision = "0011"
down_revision = "0010"

_TABLE: Final = "isthmus_entries"


def upgrade() -> None:
    """Create the table."""
    schema = _schema()
    op.create_table(
        _TABLE,
        *record_columns(_TABLE),
        sa.Column("store", text(64), nullable=False),
        sa.Column("key", text(), nullable=False),
        sa.Column("key_start", text(200), nullable=False),
        sa.Column("etag", text(64), nullable=False),
        sa.Column("body", text(), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("headers", text(), nullable=False),
        sa.Column("metadata", text(), nullable=False),
        sa.Column("stored_at", timestamp(), nullable=False),
        sa.Column("expires_at", timestamp()),
        schema=schema,
    )
    op.create_index("ix_isthmus_entries_store_key_start", _TABLE, ["store", "key_start"], schema=schema)
    op.create_index("ix_isthmus_entries_expires_at", _TABLE, ["expires_at"], schema=schema)


def downgrade() -> None:
    """Drop the table, with all entries."""
    op.drop_table(_TABLE, schema=_schema())


def _schema() -> str | None:
    return "isthmus_private" if op.get_context().dialect.name == "postgresql" else None
