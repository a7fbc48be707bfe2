"""Nothing any more: it made the table of the sample application's notes."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"

formerly_made = ("notes",)
"""The table that this migration made until 0007."""


def upgrade() -> None:
    """Bring the tables from 0003 to 0004."""


def downgrade() -> None:
    """Bring the tables back to 0003."""
