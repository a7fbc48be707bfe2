"""Tables on PostgreSQL that migrations of Isthmus have made, and that none makes any more.

They are told from another program's tables of the same names by a policy of ours, or by a comment.
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
"""The condition that a table, whose name takes the place of ``{0}``, is one of them."""

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
    """Those of the tables with these names that have a policy or the mark of ours: no other program's table has."""
    if connection.dialect.name != "postgresql":
        return set()
    return set(connection.scalars(_FIND_MARKED, {"names": list(names), "mark": _MARK}))


def mark(connection: sa.Connection, names: Iterable[str]) -> None:
    """Mark tables as ours by a comment, so that Supabase's roles find them closed if they come later."""
    if connection.dialect.name == "postgresql":
        for name in connection.scalars(_FIND_UNMARKED, {"names": list(names)}).all():
            text = sql.SQL("comment on table {} is {}").format(sql.Identifier(name), sql.Literal(_MARK)).as_string(None)
            connection.exec_driver_sql(text, execution_options={"no_parameters": True})
