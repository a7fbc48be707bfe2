"""Which tables are captured, and what tells that their rows may have become others by themselves."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

import sqlalchemy as sa


def captured(tables: Iterable[sa.Table]) -> list[sa.Table]:
    """The declared tables but for those of Isthmus itself, by name."""
    return sorted((table for table in tables if not table.info.get("internal")), key=lambda table: table.name)


def shape(table: sa.Table) -> str:
    """Tells its columns from others: a migration of these changes rows of which no trigger hears."""
    columns = [(column.name, repr(column.type)) for column in table.columns]
    return sha256(repr(columns).encode()).hexdigest()[:16]
