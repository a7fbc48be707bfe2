"""Tables on PostgreSQL that Isthmus's migrations have created and no longer create.

A policy of ours or a comment distinguishes them from another program's tables with the same names.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from psycopg import sql

_MARK: Final = "made by Isthmus"
IS_OURS: Final = (
    "(exists (select from pg_policy where polrelid = to_regclass({0}) and polname = 'isthmus_service')"
    f" or obj_description(to_regclass({{0}}), 'pg_class') = '{_MARK}')"
)
"""SQL condition that a table is one of them; ``{0}`` is the table's name as a string literal."""

_FIND_MARKED: Final = sa.text(
    "select relname from pg_class where relname = any(:names) and relnamespace = current_schema()::regnamespace"
    " and (exists (select from pg_policy where polrelid = pg_class.oid and polname = 'isthmus_service')"
    " or obj_description(pg_class.oid, 'pg_class') = :mark)"
)
_FIND_UNMARKED: Final = sa.text(
    "select relname from pg_class where relname = any(:names) and relnamespace = current_schema()::regnamespace"
    " and obj_description(pg_class.oid, 'pg_class') is null"
)


def released(connection: sa.Connection, names: Iterable[str]) -> set[str]:
    """The existing tables with these names that have our policy or mark, so that no other program created them."""
    if connection.dialect.name != "postgresql":
        return set()
    return set(connection.scalars(_FIND_MARKED, {"names": list(names), "mark": _MARK}))


def mark(connection: sa.Connection, names: Iterable[str]) -> None:
    """Mark tables as ours by a comment, so that they can be closed if Supabase's roles are created later."""
    if connection.dialect.name == "postgresql":
        for name in connection.scalars(_FIND_UNMARKED, {"names": list(names)}).all():
            text = sql.SQL("comment on table {} is {}").format(sql.Identifier(name), sql.Literal(_MARK)).as_string(None)
            connection.exec_driver_sql(text, execution_options={"no_parameters": True})
