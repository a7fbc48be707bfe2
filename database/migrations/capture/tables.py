"""Which tables are captured, and what tells that their rows may have become others by themselves."""

from __future__ import annotations

from hashlib import sha256

import sqlalchemy as sa


def captured(metadata: sa.MetaData) -> list[sa.Table]:
    """The declared tables but for those of Isthmus itself, by name."""
    return sorted(
        (table for table in metadata.tables.values() if not table.info.get("internal")), key=lambda table: table.name
    )


def shape(table: sa.Table) -> str:
    """Tells its columns from others: a migration of these changes rows of which no trigger hears."""
    columns = [(column.name, repr(column.type)) for column in table.columns]
    return sha256(repr(columns).encode()).hexdigest()[:16]
