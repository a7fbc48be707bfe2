"""Finds declared tables and columns that a database lacks, with one query through its adapter."""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa

from config.settings import Settings
from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from database.core.operations import Sql
from database.core.result import Row
from database.internal_tables import SCHEMA
from database.schema.adoption.marks import is_adopted
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import has_engine

_TABLES: Final = {
    "sqlite": "select name as table_name from sqlite_schema where type in ('table', 'view')",
    "postgres": (
        "select relname::text as table_name from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
        " where relkind in ('r', 'p', 'v', 'm', 'f')"
        " and nspname = any(current_schemas(false) || array[{schemas}]::name[])"
    ),
}
_OTHERS: Final = {
    "sqlite": (
        "select name as table_name from sqlite_schema where type = 'table' and name not like 'sqlite\\_%' escape '\\'"
    ),
    # Without those of extensions.
    "postgres": (
        "select relname::text as table_name from pg_class join pg_namespace on pg_namespace.oid = relnamespace"
        " where relkind in ('r', 'p') and nspname = any(current_schemas(false)) and not exists (select from pg_depend"
        " where objid = pg_class.oid and classid = 'pg_class'::regclass and deptype = 'e')"
    ),
}
_COLUMNS: Final = {
    "sqlite": (
        "select tables.name as table_name, columns.name as column_name"
        " from sqlite_schema as tables, pragma_table_xinfo(tables.name) as columns"
        " where tables.type in ('table', 'view')"
    ),
    "postgres": (
        "select relname::text as table_name, attname::text as column_name from pg_class"
        " join pg_namespace on pg_namespace.oid = relnamespace join pg_attribute on attrelid = pg_class.oid"
        " where relkind in ('r', 'p', 'v', 'm', 'f')"
        " and nspname = any(current_schemas(false) || array[{schemas}]::name[])"
        " and attnum > 0 and not attisdropped"
    ),
}

_OWN: Final = "isthmus_"


def was_there_before(adapter: DatabaseAdapter) -> bool:
    """Whether the database has tables, and none of Isthmus's own, so that others made it.

    :raises DataError: if the database cannot be queried.
    """
    own = {row["table_name"] for row in _rows(adapter, _TABLES) if row["table_name"].startswith(_OWN)}
    return not own and bool(_rows(adapter, _OTHERS))


def reason_to_wait(adapter: DatabaseAdapter, settings: Settings) -> str | None:
    """Why a database is migrated by a command only, and not by what needs its tables; None if it is not.

    :raises DataError: if the database cannot be queried.
    """
    if settings.db_auto_migrate or not has_engine(adapter):
        return None
    if settings.db_auto_migrate is False:
        return "DB_AUTO_MIGRATE is false"
    if was_there_before(adapter):
        return "others made its tables"
    if bare(adapter).sql_dialect == "sqlite":
        return None
    if adopted(adapter):
        return "its tables were adopted"
    return "this is production" if settings.production else None


def missing_tables(adapter: DatabaseAdapter) -> list[str]:
    """The names of the declared tables that the database lacks; empty for backends without SQL tables.

    :raises DataError: if the database cannot be queried.
    """
    if not has_engine(adapter):
        return []
    return _without(adapter, {row["table_name"] for row in _rows(adapter, _TABLES)})


def missing(adapter: DatabaseAdapter) -> list[str]:
    """The missing tables, followed by the missing columns of the other tables as ``table.column``."""
    if not has_engine(adapter):
        return []
    rows = _rows(adapter, _COLUMNS)
    tables = {row["table_name"] for row in rows}
    columns = {(row["table_name"], row["column_name"]) for row in rows}
    lacking = [
        f"{table.name}.{column}"
        for table in bare(adapter).schema
        for column in table.columns
        if table.name in tables and (table.name, column) not in columns
    ]
    return [*_without(adapter, tables), *sorted(lacking)]


def advice(names: Iterable[str], adopted: Container[str] = ()) -> list[str]:
    """A line of advice for each name that :func:`missing` returned for a database that has all migrations.

    :param adopted: the names of the adopted tables.
    """
    return [_advice(name, adopted=name.partition(".")[0] in adopted) for name in names]


def _advice(name: str, *, adopted: bool) -> str:
    what = "column" if "." in name else "table"
    if not adopted:
        return f"{what} {name}: no migration creates it; run `flask db revision MESSAGE`"
    remedy = "run `flask db adopt`" if what == "column" else "run `flask db install tables` to create it"
    return f"{what} {name}: it is adopted, and this database lacks it; {remedy}"


def adopted(adapter: DatabaseAdapter) -> set[str]:
    """The names of the adopted tables."""
    return {table.name for table in bare(adapter).schema if is_adopted(table.source)}


def _rows(adapter: DatabaseAdapter, queries: dict[str, str]) -> list[Row]:
    adapter = bare(adapter)
    schemas = {SCHEMA, *(str(table.source.schema) for table in adapter.schema if table.source.schema is not None)}
    literals = [str(sa.literal(name).compile(compile_kwargs={"literal_binds": True})) for name in sorted(schemas)]
    text = queries[adapter.sql_dialect].replace("{schemas}", ", ".join(literals))
    with as_application():
        return adapter.run_alone(Sql(text)).rows


def _without(adapter: DatabaseAdapter, found: set[str]) -> list[str]:
    return sorted(table.name for table in bare(adapter).schema if table.name not in found)
