"""Indexes, so that what is old is found without looking at what is not."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the indexes."""
    op.create_index("ix_isthmus_idempotency_keys_created_at", "isthmus_idempotency_keys", ["created_at"])
    op.create_index("ix_isthmus_refresh_tokens_used_at", "isthmus_refresh_tokens", ["used_at"])


def downgrade() -> None:
    """Drop the indexes."""
    op.drop_index("ix_isthmus_refresh_tokens_used_at", "isthmus_refresh_tokens")
    op.drop_index("ix_isthmus_idempotency_keys_created_at", "isthmus_idempotency_keys")
