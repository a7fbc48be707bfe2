"""Where Isthmus' own tables are on PostgreSQL: in the schema ``isthmus_private``, or before revision 0008 in the first
schema of the search path, which is that of the application's tables.

The table that records the revisions moves together with them, but not while Alembic uses it. During migrations the
schema is on the search path, behind all others: a table of the application may refer to one of ours by its name alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from database import internal_tables
from database.internal_tables import SCHEMA
from database.schema.migrations.revisions.comparison import VERSION_TABLE

MOVED: Final = "0008"
"""The revision that moves the tables."""

_WIDE: Final = (
    f"set_config('search_path', concat_ws(', ', nullif(current_setting('search_path'), ''), '{SCHEMA}'), true)"
)
WIDENING: Final = f"do $isthmus$ begin perform {_WIDE}; end $isthmus$"
"""SQL that puts the schema on the search path for the rest of the transaction, for a script."""

PROTECTION: Final = (
    f"revoke all on schema {SCHEMA} from public, anon, authenticated",
    f"grant usage on schema {SCHEMA} to service_role",
)
"""Repeatable SQL that closes the schema to all of Supabase's roles but the service."""

_FIND: Final = sa.text(
    "select nspname from pg_catalog.pg_class join pg_catalog.pg_namespace on pg_namespace.oid = relnamespace"
    " where relname = :table and nspname = :schema"
)
_DROP: Final = (
    f"do $isthmus$ begin drop schema {SCHEMA}; exception when dependent_objects_still_exist then null; end $isthmus$"
)
_USABLE: Final = sa.text("select has_schema_privilege('service_role', :schema, 'usage')")


def widen(connection: sa.Connection) -> None:
    """Put the schema on the search path of this transaction; does nothing on other databases."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"select {_WIDE}", execution_options={"no_parameters": True})


def current(connection: sa.Connection) -> str | None:
    """The schema of our tables in this database; None for that of the application's tables."""
    if connection.dialect.name != "postgresql":
        return None
    found: str | None = connection.scalar(_FIND, {"table": VERSION_TABLE, "schema": SCHEMA})
    return found


def settle(connection: sa.Connection, applied: Iterable[str]) -> None:
    """Move the table that records the revisions to where these revisions have moved the others."""
    there, moved = current(connection) is not None, MOVED in applied
    if connection.dialect.name != "postgresql" or there == moved:
        return
    if moved:
        connection.exec_driver_sql(f"alter table {VERSION_TABLE} set schema {SCHEMA}")
        return
    schema = connection.dialect.identifier_preparer.quote(str(connection.scalar(sa.text("select current_schema()"))))
    connection.exec_driver_sql(f"alter table {SCHEMA}.{VERSION_TABLE} set schema {schema}")
    connection.exec_driver_sql(_DROP)


def tables(schema: str | None) -> list[sa.Table]:
    """All of our tables, without their columns, and the one that records the revisions, in this schema."""
    metadata = sa.MetaData(schema=schema)
    names = [*sorted(internal_tables.metadata.tables), VERSION_TABLE]
    return [sa.Table(name, metadata, info={"internal": True}) for name in names]


def differences(connection: sa.Connection) -> list[str]:
    """A line if the service role cannot reach the schema; only for a server with Supabase's roles."""
    schema = current(connection)
    if schema is None or connection.scalar(_USABLE, {"schema": schema}):
        return []
    return [f"{schema}: usage is not granted to service_role"]
