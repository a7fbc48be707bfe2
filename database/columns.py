"""Helpers to declare tables: types that behave the same on every backend, and the columns that every table has."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

PUBLIC_READ = {"read": "anyone", "write": "user", "delete": "admin"}
"""Access rules: anyone may read, signed-in callers may write, the role ``admin`` may delete."""

OWN_ROWS = {"read": "owner", "write": "owner", "delete": "owner"}
"""Access rules: signed-in callers may access only their own rows; ``info["owner"]`` names the owner's column."""


def table_metadata() -> sa.MetaData:
    """Metadata for declared tables, with a naming convention for constraints, so that migrations can change them."""
    return sa.MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )


def text(length: int | None = None) -> sa.types.TypeEngine[str]:
    """Text that sorts and compares by code point on every backend."""
    return sa.String(length).with_variant(sa.String(length, collation="C"), "postgresql")


def json() -> sa.types.TypeEngine[Any]:
    """JSON: ``jsonb`` on PostgreSQL, text on SQLite."""
    return sa.JSON().with_variant(postgresql.JSONB(), "postgresql").with_variant(sa.Text(), "sqlite")


def timestamp() -> sa.types.TypeEngine[Any]:
    """A point in time: ``timestamptz`` on PostgreSQL, ISO 8601 text of fixed width on SQLite."""
    return sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")


def record_columns() -> tuple[sa.Column[Any], ...]:
    """The columns that every table has: the id, and those for optimistic locking and caching."""
    return (
        sa.Column("id", text(255), primary_key=True),
        sa.Column("created_at", timestamp(), nullable=False),
        sa.Column("updated_at", timestamp(), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )
