"""Column helpers for migrations. They must never change, because applied migrations are not run again.

Migrations do not use the helpers of declared tables, which may change.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql


def text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Text that sorts and compares by code point on every backend."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def json() -> sa.types.TypeEngine[Any]:
    """JSON: ``jsonb`` on PostgreSQL, text on SQLite."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql").with_variant(sa.Text(), "sqlite")


def timestamp() -> sa.types.TypeEngine[Any]:
    """A point in time: ``timestamptz`` on PostgreSQL, ISO 8601 text of fixed width on SQLite."""
    return sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def record_columns(table: str) -> tuple[Any, ...]:
    """The columns that every table has, and the primary key."""
    return (
        sa.Column("id", text(255), nullable=False),
        sa.Column("created_at", timestamp(), nullable=False),
        sa.Column("updated_at", timestamp(), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
    )
