"""Reads the tables of an existing PostgreSQL database, such as a Supabase project's, as a schema.

Columns and tables that cannot behave the same on every backend are omitted and reported, because a result that differs
between backends would be worse than none.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine.interfaces import ReflectedColumn
from sqlalchemy.engine.interfaces import ReflectedPrimaryKeyConstraint

from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.postgres.dialect import DIALECT
from database.core.errors import NotFound
from database.core.errors import Unsupported
from database.core.kinds.decimals import MAX_PRECISION
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.schema import table_schema
from database.schema.sqlalchemy_engine import connected

_PORTABLE: Final = {
    sa.TEXT,
    sa.VARCHAR,
    sa.UUID,
    sa.SMALLINT,
    sa.INTEGER,
    sa.BIGINT,
    sa.DOUBLE_PRECISION,
    sa.BOOLEAN,
    sa.NUMERIC,
    sa.DATE,
    postgresql.TIME,
    postgresql.TIMESTAMP,
    postgresql.ENUM,
    postgresql.BYTEA,
    postgresql.INTERVAL,
    postgresql.JSON,
    postgresql.JSONB,
}
"""Exact types, without subclasses: one of text may be blank-padded or case-insensitive."""

_ID_TYPES: Final = (sa.TEXT, sa.VARCHAR, sa.UUID)
_INTEGERS: Final = (sa.SMALLINT, sa.INTEGER, sa.BIGINT)

_LOOSE_COLLATIONS: Final = sa.text(
    "select relname, attname from pg_attribute join pg_class on pg_class.oid = attrelid"
    " join pg_collation on pg_collation.oid = attcollation"
    " where not collisdeterministic and relnamespace = current_schema()::regnamespace"
)


@dataclass(frozen=True, slots=True)
class Reflection:
    """The result of a reflection.

    :ivar schema: the tables, for a new adapter.
    :ivar skipped: maps each omitted ``table`` or ``table.column`` to the reason.
    """

    schema: Schema
    skipped: dict[str, str]


def reflect(adapter: DatabaseAdapter, tables: Collection[str] | None = None) -> Reflection:
    """Read the tables of the first schema on the search path; pass the result to a new adapter.

    A column with a server default, which ``id`` may have, is optional in an insert.

    :param tables: the names of the tables to read; None for all.
    :raises Unsupported: for any backend other than PostgreSQL.
    :raises NotFound: for a table that does not exist.
    :raises DataError: if the database cannot be reached.
    """
    if not isinstance(adapter, PostgresAdapter):
        raise Unsupported("reflection", backend=adapter.name)
    with connected(adapter, writes=False) as connection:
        inspector = sa.inspect(connection)
        names = _names(inspector.get_table_names(), tables)
        skipped = {
            f"{table}.{column}": "its collation is not deterministic: it treats different texts as equal"
            for table, column in connection.execute(_LOOSE_COLLATIONS)
            if table in names
        }
        columns = inspector.get_multi_columns(filter_names=names)
        keys = inspector.get_multi_pk_constraint(filter_names=names)
    found = [_table(name, columns[None, name], keys[None, name], skipped) for name in names]
    return Reflection(Schema(table for table in found if table is not None), skipped)


def _names(existing: list[str], wanted: Collection[str] | None) -> list[str]:
    if wanted is None:
        return sorted(existing)
    missing = set(wanted) - set(existing)
    if missing:
        raise NotFound(f"the database has no table {', '.join(map(repr, sorted(missing)))}")
    return sorted(wanted)


def _table(
    name: str, columns: list[ReflectedColumn], key: ReflectedPrimaryKeyConstraint, skipped: dict[str, str]
) -> TableSchema | None:
    """The table with its portable columns; None, with the reason in ``skipped``, if it has no usable id."""
    for column in columns:
        reason = _problem(column)
        if reason is not None:
            skipped.setdefault(f"{name}.{column['name']}", reason)
    kept = [column for column in columns if f"{name}.{column['name']}" not in skipped]
    if key["constrained_columns"] != ["id"] or "id" not in {column["name"] for column in kept}:
        skipped[name] = "its primary key must be a single column 'id' of type text, varchar or uuid"
        return None
    return table_schema(sa.Table(name, sa.MetaData(), *map(_column, kept, [key] * len(kept))))


def _column(found: ReflectedColumn, key: Mapping[str, Any]) -> sa.Column[Any]:
    filled = found.get("default") is not None or "identity" in found or "computed" in found
    return sa.Column(
        found["name"],
        found["type"],
        primary_key=found["name"] in key["constrained_columns"],
        nullable=found["nullable"],
        # Only the presence of a default matters; the server computes its value.
        server_default=sa.FetchedValue() if filled else None,
    )


def _problem(column: ReflectedColumn) -> str | None:
    """The reason to omit a column, or None."""
    kind, name = column["type"], column["name"]
    if isinstance(kind, postgresql.ARRAY):
        item = kind.item_type
        if type(item) not in _PORTABLE or isinstance(item, sa.JSON) or getattr(item, "length", None) is not None:
            return _unsupported(kind)
        return _problem({**column, "type": item})
    if type(kind) not in _PORTABLE:
        return _unsupported(kind)
    if type(kind) is sa.NUMERIC and not 0 <= (kind.scale or 0) <= (kind.precision or 0) <= MAX_PRECISION:
        return f"its type {_shown(kind)} must have a precision of at most {MAX_PRECISION} digits"
    if isinstance(kind, postgresql.TIME) and (kind.timezone or kind.precision not in {None, 6}):
        return f"its type {_shown(kind)} is not supported by all backends"
    if isinstance(kind, postgresql.INTERVAL) and (kind.fields or kind.precision not in {None, 6}):
        return f"its type {_shown(kind)} is not supported by all backends"
    if isinstance(kind, sa.TIMESTAMP) and not kind.timezone:
        return "its type must be timestamp with time zone, because without one the time is ambiguous"
    if name == "id" and not isinstance(kind, _ID_TYPES):
        return f"the type of an id must be text, varchar or uuid, not {_shown(kind)}"
    if name == "version" and not isinstance(kind, _INTEGERS):
        return f"a column 'version' must be an integer, which counts updates, not {_shown(kind)}"
    return None


def _unsupported(kind: sa.types.TypeEngine[Any]) -> str:
    return f"its type {_shown(kind)} is not supported by all backends"


def _shown(kind: sa.types.TypeEngine[Any]) -> str:
    return "an unknown type" if isinstance(kind, sa.types.NullType) else str(kind.compile(DIALECT.compiler)).lower()
