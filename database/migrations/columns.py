"""Columns as the migrations made them: never changed, because what has been migrated is not migrated again."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from config.tables import text
from config.tables import timestamp


def record_columns(table: str) -> tuple[Any, ...]:
    """What every table has, and its primary key."""
    return (
        sa.Column("id", text(255), nullable=False),
        sa.Column("created_at", timestamp(), nullable=False),
        sa.Column("updated_at", timestamp(), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
