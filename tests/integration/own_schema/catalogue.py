"""What of Isthmus is in a PostgreSQL database."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.schema.sqlalchemy_engine import connected

RPC: Final = frozenset(
    f"isthmus_{name}" for name in ("commit", "commit_as", "groups", "numbers", "purge", "changes", "changes_purge")
)
"""The functions that PostgREST must find, on a server with Supabase's roles."""

_RELATIONS: Final = sa.text(
    r"select relname from pg_class where relname like '%isthmus\_%' and relnamespace = to_regnamespace(:schema)"
)
_FUNCTIONS: Final = sa.text(
    r"select proname from pg_proc where proname like '%isthmus\_%' and pronamespace = to_regnamespace(:schema)"
)


def ours_in(adapter: DatabaseAdapter, schema: str) -> set[str]:
    """The names of our tables, their indexes and constraints in a schema."""
    with connected(adapter, writes=False) as connection:
        return set(connection.scalars(_RELATIONS, {"schema": schema}))


def our_functions_in(adapter: DatabaseAdapter, schema: str) -> set[str]:
    """The names of our functions in a schema."""
    with connected(adapter, writes=False) as connection:
        return set(connection.scalars(_FUNCTIONS, {"schema": schema}))
