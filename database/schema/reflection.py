"""The tables of an existing PostgreSQL database, such as a Supabase project's, as a schema.

What cannot behave alike on every backend is left out and said so: another answer than elsewhere would be worse
than none.
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
    postgresql.TIMESTAMP,
    postgresql.JSON,
    postgresql.JSONB,
}
"""Exact types: a subclass of text may be an enumeration, padded with blanks, or blind to case."""

_ID_TYPES: Final = (sa.TEXT, sa.VARCHAR, sa.UUID)
_INTEGERS: Final = (sa.SMALLINT, sa.INTEGER, sa.BIGINT)

_LOOSE_COLLATIONS: Final = sa.text(
    "select relname, attname from pg_attribute join pg_class on pg_class.oid = attrelid"
    " join pg_collation on pg_collation.oid = attcollation"
    " where not collisdeterministic and relnamespace = current_schema()::regnamespace"
)


@dataclass(frozen=True, slots=True)
class Reflection:
    """What was found.

    :ivar schema: the tables an adapter can be given.
    :ivar skipped: why a ``table`` or a ``table.column`` is not among them.
    """

    schema: Schema
    skipped: dict[str, str]


def reflect(adapter: DatabaseAdapter, tables: Collection[str] | None = None) -> Reflection:
    """Read the tables of the first schema on the search path; hand the result to a new adapter.

    A column with a server default may be left out of an insert; ``id`` is then made by the server.

    :param tables: their names; all for None.
    :raises Unsupported: for any other backend than PostgreSQL.
    :raises NotFound: for a name that is no table.
    :raises DataError: if the database cannot be reached.
    """
    if not isinstance(adapter, PostgresAdapter):
        raise Unsupported("reflection", backend=adapter.name)
    with connected(adapter, writes=False) as connection:
        inspector = sa.inspect(connection)
        names = _names(inspector.get_table_names(), tables)
        skipped = {
            f"{table}.{column}": "its collation takes different texts for equal"
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
        raise NotFound(f"there is no table {', '.join(map(repr, sorted(missing)))}")
    return sorted(wanted)


def _table(
    name: str, columns: list[ReflectedColumn], key: ReflectedPrimaryKeyConstraint, skipped: dict[str, str]
) -> TableSchema | None:
    """The table with the columns that are portable; None, and a reason in ``skipped``, without a fitting id."""
    for column in columns:
        reason = _problem(column)
        if reason is not None:
            skipped.setdefault(f"{name}.{column['name']}", reason)
    kept = [column for column in columns if f"{name}.{column['name']}" not in skipped]
    if key["constrained_columns"] != ["id"] or "id" not in {column["name"] for column in kept}:
        skipped[name] = "it has no primary key 'id' of its own of type text, varchar or uuid"
        return None
    return table_schema(sa.Table(name, sa.MetaData(), *map(_column, kept, [key] * len(kept))))


def _column(found: ReflectedColumn, key: Mapping[str, Any]) -> sa.Column[Any]:
    filled = found.get("default") is not None or "identity" in found or "computed" in found
    return sa.Column(
        found["name"],
        found["type"],
        primary_key=found["name"] in key["constrained_columns"],
        nullable=found["nullable"],
        # Which value it is does not matter here: the server fills it in.
        server_default=sa.FetchedValue() if filled else None,
    )


def _problem(column: ReflectedColumn) -> str | None:
    """Why a column is left out, or None."""
    kind, name = column["type"], column["name"]
    if type(kind) not in _PORTABLE:
        return f"{_shown(kind)} is not a type that all backends share"
    if isinstance(kind, sa.TIMESTAMP) and not kind.timezone:
        return "a timestamp without time zone is no moment"
    if name == "id" and not isinstance(kind, _ID_TYPES):
        return f"an id is text, varchar or uuid, not {_shown(kind)}"
    if name == "version" and not isinstance(kind, _INTEGERS):
        return f"a column of this name is an integer that counts updates, not {_shown(kind)}"
    return None


def _shown(kind: sa.types.TypeEngine[Any]) -> str:
    return "an unknown type" if isinstance(kind, sa.types.NullType) else str(kind.compile(DIALECT.compiler)).lower()
