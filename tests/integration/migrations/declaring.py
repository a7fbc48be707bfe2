"""Tables that are declared for a test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.columns import record_columns
from database.declared import declared_schema
from database.declared import schema_in
from database.declared import schema_of
from database.schema.migrations.history import history
from tests.laboratory.config.tables import metadata


@contextmanager
def declaring(*tables: sa.Table) -> Iterator[None]:
    """Have these tables declared in the block, as if they stood among the laboratory's.

    They were made with metadata of their own, and one that has the name of a declared table replaces it.
    """
    replaced = [metadata.tables[table.name] for table in tables if table.name in metadata.tables]
    for table in replaced:
        metadata.remove(table)
    made = [table.to_metadata(metadata) for table in tables]
    schema_in.cache_clear()
    try:
        yield
    finally:
        for table in made:
            metadata.remove(table)
        for table in replaced:
            metadata._add_table(table.name, table.schema, table)
        schema_in.cache_clear()


def declared(name: str, *items: sa.schema.SchemaItem, access: dict[str, str] | None = None, **info: str) -> sa.Table:
    """A table with the columns that every one has, and these."""
    rules = {"read": "anyone", "write": "user", "delete": "admin"} if access is None else access
    own = sa.MetaData(naming_convention=metadata.naming_convention)
    return sa.Table(name, own, *record_columns(), *items, info={"access": rules, **info})


def anew(adapter: DatabaseAdapter, migrations: Path | None = None) -> DatabaseAdapter:
    """An adapter of the same kind and database, which knows what is declared now.

    :param migrations: the folder of the application's migrations; the adapter's own by default.
    """
    return type(adapter)(adapter.config, schema_of(metadata, migrations or adapter.schema.migrations))


def own_migrations(folder: Path) -> Path:
    """A folder of the test's own with the laboratory's migrations and no others."""
    migrations = declared_schema().migrations
    assert migrations is not None
    versions = folder / "versions"
    shutil.rmtree(versions, ignore_errors=True)
    shutil.copytree(migrations / "versions", versions, ignore=shutil.ignore_patterns("__pycache__"))
    history.cache_clear()
    return folder
