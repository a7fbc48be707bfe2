"""The application's tables have a branch of migrations of their own; those of Isthmus stay in this one.

A database that comes from 0006 or before has the tables of the sample application already:
:mod:`database.schema.migrations.history` says how they are found.
"""

from __future__ import annotations

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Bring the tables from 0006 to 0007."""


def downgrade() -> None:
    """Bring the tables back to 0006."""
