"""Creating declared tables without migrations, for records that need not be in the application's own database."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.schema.sqlalchemy_engine import connected

_ATTEMPTS: Final = 5


def create_tables(adapter: DatabaseAdapter, tables: Iterable[sa.Table]) -> None:
    """Create those of the tables that are missing, with their indexes, in one transaction.

    Tables that are there stay as they are. Several processes may do this at the same time. On a server with Supabase's
    roles the new tables have their access rules from the beginning.

    :raises DataError: if the database cannot be reached, or refuses.
    """
    wanted = list(tables)
    for left in reversed(range(_ATTEMPTS)):
        try:
            with connected(adapter, writes=True) as connection:
                _create(connection, wanted)
                return
        except (ConstraintViolated, InvalidQuery):
            # Refused if somebody else creates them at this moment.
            if not left:
                raise


def _create(connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
    on_postgres = connection.dialect.name == "postgresql"
    if on_postgres:
        tables = [_placed(table) for table in tables]
    inspector = sa.inspect(connection)
    new = [table for table in tables if not inspector.has_table(table.name, table.schema)]
    schemas = {table.schema for table in new if table.schema is not None}
    # Without the right to create schemas, "if not exists" is refused for one that exists, too.
    for schema in schemas.difference(inspector.get_schema_names() if schemas else ()):
        connection.execute(sa.schema.CreateSchema(schema, if_not_exists=True))
    for metadata in dict.fromkeys(table.metadata for table in new):
        metadata.create_all(connection, [table for table in new if table.metadata is metadata])
    if on_postgres and new:
        _protect(connection, new)


def _placed(table: sa.Table) -> sa.Table:
    """A table as it is on PostgreSQL, where those of Isthmus have a schema of their own."""
    own = internal_tables.is_own(table.name)
    return internal_tables.placed().tables[f"{internal_tables.SCHEMA}.{table.name}"] if own else table


def _protect(connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
    """Supabase serves every table of its public schema over HTTP, unless its access rules close it."""
    from database.schema.migrations import own_schema  # noqa: PLC0415  # Alembic is loaded where tables are created
    from database.schema.migrations import row_security  # noqa: PLC0415

    if not row_security.has_roles(connection):
        return
    is_ours = any(table.schema == internal_tables.SCHEMA for table in tables)
    rules = [text for table in tables for text in row_security.table_statements(table)]
    for text in (*(own_schema.PROTECTION if is_ours else ()), *rules):
        connection.exec_driver_sql(text, execution_options={"no_parameters": True})
