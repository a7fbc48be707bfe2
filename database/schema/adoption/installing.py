"""What is made in a database for adopted tables, each only if somebody asks for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.tables.access_rules import rules_of
from database.schema.adoption.marks import is_adopted
from database.schema.adoption.marks import own
from database.schema.migrations import row_security
from database.schema.migrations.capture import install as capture
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import connected

_PLAIN_DEFAULT: Final = re.compile(r"-?\d+(?:\.\d+)?|'(?:[^']|'')*'|current_timestamp", re.IGNORECASE)
"""A default that means the same on SQLite."""


def install_tables(adapter: DatabaseAdapter, names: Sequence[str] = ()) -> list[str]:
    """Create the adopted tables that a database lacks; returns their names, as the others do.

    :param names: the adopted tables, by default all.
    """
    tables = [table for table in _adopted(adapter, names) if not table.info.get("read_only")]
    with connected(adapter, writes=True) as connection:
        there = set(sa.inspect(connection).get_table_names())
        missing = [table.name for table in tables if table.name not in there]
        if missing:
            copy = _copy(bare(adapter).schema.metadata, connection.dialect.name)
            copy.create_all(connection, [copy.tables[name] for name in missing])
    return missing


def install_changes(adapter: DatabaseAdapter, names: Sequence[str] = ()) -> list[str]:
    """Make the change log, and the triggers of adopted tables."""
    with connected(adapter, writes=True) as connection:
        there = set(sa.inspect(connection).get_table_names())
        tables = [table for table in _adopted(adapter, names) if table.name in there]
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
        tables = [table for table in _adopted(adapter, names) if rules_of(table).declared and table.name not in others]
        _refuse(names, others, [table.name for table in tables])
        row_security.apply(connection, tables)
    return [table.name for table in tables]


def _copy(metadata: sa.MetaData, dialect: str) -> sa.MetaData:
    """The declarations without the defaults that only the adopted database understands.

    The data layer itself sends constants and the present moment.
    """
    copy = sa.MetaData()
    for table in metadata.sorted_tables:
        table.to_metadata(copy)
    for column in (column for table in copy.tables.values() for column in table.columns):
        default = column.server_default
        text = str(default.arg) if isinstance(default, sa.DefaultClause) else ""
        if dialect == "sqlite" and text and not _PLAIN_DEFAULT.fullmatch(text):
            column.server_default = None
    return copy


def _refuse(names: Sequence[str], others: set[str], chosen: Sequence[str]) -> None:
    """Refuse a table that was named and cannot have policies."""
    for name in names:
        if name in others:
            raise InvalidQuery(f"table {name!r} has policies of its own, which stay in force; Isthmus adds none")
        if name not in chosen:
            raise InvalidQuery(f'table {name!r} has no access rules; declare info["access"] first')


def _declared(adapter: DatabaseAdapter) -> list[sa.Table]:
    return bare(adapter).schema.metadata.sorted_tables


def _adopted(adapter: DatabaseAdapter, names: Sequence[str] = ()) -> list[sa.Table]:
    """The adopted tables with these names, or all. :raises NotFound: for another name."""
    tables = {table.name: table for table in _declared(adapter) if is_adopted(table)}
    if unknown := [name for name in names if name not in tables]:
        raise NotFound(f"{unknown[0]!r} is not an adopted table; they are {', '.join(sorted(tables)) or 'none'}")
    return [tables[name] for name in names or tables]


ACTIONS: Final = {
    "tables": install_tables,
    "changes": install_changes,
    "policies": install_policies,
    "remove-changes": remove_changes,
}
"""By the names of the commands."""
