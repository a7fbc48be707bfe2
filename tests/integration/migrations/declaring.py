"""Tables that are declared for a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from config.tables import metadata
from config.tables import record_columns
from database.adapters.base import DatabaseAdapter
from database.adapters.base import declared_schema
from database.core.schema import Schema


@contextmanager
def declaring(*tables: sa.Table) -> Iterator[None]:
    """Have these tables declared in the block, as if they stood in ``config/tables.py``.

    They were made with metadata of their own, and one that has the name of a declared table replaces it.
    """
    replaced = [metadata.tables[table.name] for table in tables if table.name in metadata.tables]
    for table in replaced:
        metadata.remove(table)
    made = [table.to_metadata(metadata) for table in tables]
    declared_schema.cache_clear()
    try:
        yield
    finally:
        for table in made:
            metadata.remove(table)
        for table in replaced:
            metadata._add_table(table.name, table.schema, table)
        declared_schema.cache_clear()


def declared(name: str, *items: sa.schema.SchemaItem, access: dict[str, str] | None = None, **info: str) -> sa.Table:
    """A table with the columns that every one has, and these."""
    rules = {"read": "anyone", "write": "user", "delete": "admin"} if access is None else access
    own = sa.MetaData(naming_convention=metadata.naming_convention)
    return sa.Table(name, own, *record_columns(), *items, info={"access": rules, **info})


def anew(adapter: DatabaseAdapter) -> DatabaseAdapter:
    """An adapter of the same kind and database, which knows what is declared now."""
    return type(adapter)(adapter.config, Schema.of(metadata))
