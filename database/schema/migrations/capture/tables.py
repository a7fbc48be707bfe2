"""The tables whose changes are captured, and a digest that detects changes of their columns."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import sqlalchemy as sa


def captured(tables: Iterable[sa.Table]) -> list[sa.Table]:
    """The declared tables except Isthmus's own, sorted by name."""
    return sorted((table for table in tables if not table.info.get("internal")), key=lambda table: table.name)


def key_columns(table: sa.Table) -> list[str]:
    """The columns of its primary key."""
    return [str(column.name) for column in table.primary_key.columns]


def is_versioned(table: sa.Table) -> bool:
    """Whether its rows have a version, which every change must count."""
    return "version" in table.columns and isinstance(table.columns["version"].type, sa.Integer)


def is_timed(table: sa.Table) -> bool:
    """Whether its rows have the moment of their last change, and not what the clock of the writer showed then."""
    kind = table.columns["updated_at"].type if "updated_at" in table.columns else None
    return isinstance(kind, sa.DateTime) and kind.timezone


def counted_columns(table: sa.Table) -> list[str]:
    """The columns that are set when somebody else changes a row."""
    if not is_versioned(table):
        return []
    return ["version", "updated_at"] if is_timed(table) else ["version"]


def shape(table: sa.Table) -> str:
    """A digest of the columns. It changes with a migration of them, which changes rows without firing triggers."""
    columns = [(column.name, repr(column.type)) for column in table.columns]
    return sha256(repr(columns).encode()).hexdigest()[:16]
