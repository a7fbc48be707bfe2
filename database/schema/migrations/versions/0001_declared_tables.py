"""The first tables: users and idempotency keys."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import json
from database.schema.migrations.columns import record_columns
from database.schema.migrations.columns import text

revision = "0001"
down_revision = None

formerly_made = ("molecules", "protocols", "experiments")
"""The tables of the sample application, which this migration made until 0007."""


def upgrade() -> None:
    """Make the tables."""
    _create_users()
    _create_idempotency_keys()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("isthmus_idempotency_keys", "isthmus_users"):
        op.drop_table(name)


def _create_users() -> None:
    op.create_table(
        "isthmus_users",
        *record_columns("isthmus_users"),
        sa.Column("email", text(254), nullable=False),
        sa.Column("password_hash", text(), nullable=False),
        sa.Column("name", text(255)),
        sa.Column("role", text(64), nullable=False),
        sa.UniqueConstraint("email", name="uq_isthmus_users_email"),
    )


def _create_idempotency_keys() -> None:
    op.create_table(
        "isthmus_idempotency_keys",
        *record_columns("isthmus_idempotency_keys"),
        sa.Column("fingerprint", text(), nullable=False),
        sa.Column("status", sa.BigInteger),
        sa.Column("headers", json()),
        sa.Column("body", text()),
    )
