"""On PostgreSQL the change log is written once for each statement instead of once for each row.

The log and its triggers are made again after each run of migrations: :mod:`database.schema.migrations.capture`.
"""

from __future__ import annotations

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Bring the tables from 0009 to 0010."""


def downgrade() -> None:
    """Bring the tables back to 0009."""
