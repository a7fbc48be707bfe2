"""What is made in a database for adopted tables, each only if somebody asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import Final

import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.tables.access_rules import rules_of
from database.core.tables.schema import Schema
from database.schema.adoption.marks import is_adopted
from database.schema.adoption.marks import own
from database.schema.migrations import row_security
from database.schema.migrations.capture import install as capture
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import connected


def install_tables(adapter: DatabaseAdapter, names: Sequence[str] = ()) -> list[str]:
    """Create the adopted tables that a database lacks; returns their names, as the others do.

    :param names: the adopted tables, by default all.
    """
    tables = [table for table in _adopted(adapter, names) if not table.info.get("read_only")]
    with connected(adapter, writes=True) as connection:
        inspector = sa.inspect(connection)
        missing = [table for table in tables if not inspector.has_table(table.name, _schema(connection, table))]
        if missing:
            _create(connection, bare(adapter).schema, {table.name for table in missing})
    return [table.name for table in missing]


def _create(connection: sa.Connection, schema: Schema, names: set[str]) -> None:
    """Create tables as they are declared, without defaults that the database does not know. SQLite has no schemas."""
    copies = sa.MetaData(naming_convention=schema.metadata.naming_convention)
    lost: Any = {"schema": None, "referred_schema_fn": lambda *_: sa.BLANK_SCHEMA}
    for table in schema.metadata.sorted_tables:
        copy = table.to_metadata(copies, **(lost if connection.dialect.name == "sqlite" else {}))
        for column in copy.columns:
            if schema.table(table.name).columns[column.name].server_default and not _is_known(connection, column):
                column.server_default = None
    copies.create_all(connection, [table for table in copies.sorted_tables if table.name in names])


def _is_known(connection: sa.Connection, column: sa.Column[Any]) -> bool:
    """Whether the database knows the expression that is the default of a column."""
    expression = getattr(column.server_default, "arg", None)
    if not isinstance(expression, sa.TextClause):
        return True
    try:
        with connection.begin_nested():
            connection.execute(sa.select(expression))
    except sa.exc.DBAPIError:
        return False
    return True


def install_changes(adapter: DatabaseAdapter, names: Sequence[str] = ()) -> list[str]:
    """Make the change log, and the triggers of adopted tables."""
    with connected(adapter, writes=True) as connection:
        there = set(sa.inspect(connection).get_table_names())
        tables = [table for table in _reached(connection, adapter, names) if table.name in there]
        present = capture.asked(connection, _adopted(adapter))
        chosen = list(dict.fromkeys([*present, *tables]))
        if chosen:
            capture.apply(connection, [*own(_declared(adapter)), *chosen])
    return [table.name for table in tables if table not in present]


def remove_changes(adapter: DatabaseAdapter, names: Sequence[str] = ()) -> list[str]:
    """Drop these triggers."""
    with connected(adapter, writes=True) as connection:
        present = capture.asked(connection, _adopted(adapter, names))
        rest = [table for table in capture.asked(connection, _adopted(adapter)) if table not in present]
        if present:
            capture.remove(connection, present)
            capture.apply(connection, [*own(_declared(adapter)), *rest])
    return [table.name for table in present]


def install_policies(adapter: DatabaseAdapter, names: Sequence[str] = ()) -> list[str]:
    """Enable row level security, and make policies of the access rules, for adopted tables without policies.

    :raises InvalidQuery: for a named table that has policies, or has no access rules.
    """
    with connected(adapter, writes=True) as connection:
        if not row_security.has_roles(connection):
            if names:
                raise InvalidQuery("row level security needs Supabase's roles, which this database does not have")
            return []
        others = row_security.with_other_policies(connection)
        tables = [
            table
            for table in _reached(connection, adapter, names)
            if rules_of(table).declared and table.name not in others
        ]
        _refuse(names, others, [table.name for table in tables])
        row_security.apply(connection, tables)
    return [table.name for table in tables]


def _refuse(names: Sequence[str], others: set[str], chosen: Sequence[str]) -> None:
    """Refuse a table that was named and cannot have policies."""
    for name in names:
        if name in others:
            raise InvalidQuery(f"table {name!r} has policies of its own, which stay in force; Isthmus adds none")
        if name not in chosen:
            raise InvalidQuery(f'table {name!r} has no access rules; declare info["access"] first')


def _schema(connection: sa.Connection, table: sa.Table) -> str | None:
    """The schema of a table in this database: SQLite has none."""
    return None if connection.dialect.name == "sqlite" else table.schema


def _reached(connection: sa.Connection, adapter: DatabaseAdapter, names: Sequence[str]) -> list[sa.Table]:
    """Those of the adopted tables that are on the search path.

    :raises InvalidQuery: for a named one that is not.
    """
    tables = _adopted(adapter, names)
    beyond = [table for table in tables if _schema(connection, table) is not None]
    if names and beyond:
        raise InvalidQuery(
            f"table {beyond[0].name!r} is in the schema {beyond[0].schema}, which is not on the search path; put it"
            " there with `alter role … set search_path = …`, and adopt the table again without --schema"
        )
    return [table for table in tables if table not in beyond]


def _declared(adapter: DatabaseAdapter) -> list[sa.Table]:
    return bare(adapter).schema.metadata.sorted_tables


def _adopted(adapter: DatabaseAdapter, names: Sequence[str] = ()) -> list[sa.Table]:
    """The declared tables with these names, or all adopted ones. :raises NotFound: for another name."""
    tables = {table.name: table for table in _declared(adapter)}
    adopted = [name for name, table in tables.items() if is_adopted(table)]
    if unknown := [name for name in names if name not in tables]:
        raise NotFound(f"{unknown[0]!r} is not an adopted table; they are {', '.join(sorted(adopted)) or 'none'}")
    return [tables[name] for name in names or adopted]


ACTIONS: Final = {
    "tables": install_tables,
    "changes": install_changes,
    "policies": install_policies,
    "remove-changes": remove_changes,
}
"""By the names of the commands."""
