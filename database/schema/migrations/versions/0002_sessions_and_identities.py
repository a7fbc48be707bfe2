"""Sessions with their refresh tokens, and the identities that other issuers vouch for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from database.schema.migrations.columns import record_columns
from database.schema.migrations.columns import text
from database.schema.migrations.columns import timestamp

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    _create_sessions()
    _create_refresh_tokens()
    _create_identities()


def downgrade() -> None:
    """Drop the tables."""
    for name in ("isthmus_identities", "isthmus_refresh_tokens", "isthmus_sessions"):
        op.drop_table(name)


def _create_sessions() -> None:
    op.create_table(
        "isthmus_sessions",
        *record_columns("isthmus_sessions"),
        sa.Column("user_id", text(255), nullable=False),
        sa.Column("last_used_at", timestamp(), nullable=False),
        sa.Column("expires_at", timestamp(), nullable=False),
        sa.Column("ended_at", timestamp()),
        sa.Column("end_reason", text(64)),
        sa.Column("user_agent", text(255)),
    )
    op.create_index("ix_isthmus_sessions_user_id", "isthmus_sessions", ["user_id"])
    op.create_index("ix_isthmus_sessions_ended_at", "isthmus_sessions", ["ended_at"])


def _create_refresh_tokens() -> None:
    op.create_table(
        "isthmus_refresh_tokens",
        *record_columns("isthmus_refresh_tokens"),
        sa.Column("session_id", text(255), nullable=False),
        sa.Column("used_at", timestamp()),
        sa.Column("sealed_successor", text()),
    )
    op.create_index("ix_isthmus_refresh_tokens_session_id", "isthmus_refresh_tokens", ["session_id"])


def _create_identities() -> None:
    op.create_table(
        "isthmus_identities",
        *record_columns("isthmus_identities"),
        sa.Column("issuer", text(), nullable=False),
        sa.Column("subject", text(), nullable=False),
        sa.Column("user_id", text(255), nullable=False),
    )
    op.create_index("ix_isthmus_identities_user_id", "isthmus_identities", ["user_id"])
