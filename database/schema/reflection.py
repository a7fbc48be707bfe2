"""Reads the tables of an existing PostgreSQL database, such as a Supabase project's, as a schema.

They are judged as by ``flask db adopt``: what cannot behave the same on every backend is omitted and reported, because
a result that differs between backends would be worse than none.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.core.errors import Unsupported
from database.core.tables.schema import Schema
from database.core.tables.schema import table_schema
from database.schema import adoption
from database.schema.adoption.found import ROWS
from database.schema.adoption.found import FoundDatabase
from database.schema.adoption.judged import Judged
from database.schema.sqlalchemy_engine import connected


@dataclass(frozen=True, slots=True)
class Reflection:
    """The result of a reflection.

    :ivar schema: the tables, for a new adapter.
    :ivar skipped: maps each omitted ``table`` or ``table.column`` to the reason.
    """

    schema: Schema
    skipped: dict[str, str]


def reflect(adapter: DatabaseAdapter, tables: Collection[str] | None = None) -> Reflection:
    """Read the tables of the schemas on the search path; pass the result to a new adapter.

    A column with a server default, which the key may have, is optional in an insert.

    :param tables: the names of the tables to read; None for all.
    :raises Unsupported: for any backend other than PostgreSQL.
    :raises NotFound: for a table that does not exist.
    :raises DataError: if the database cannot be reached.
    """
    if not isinstance(adapter, PostgresAdapter):
        raise Unsupported("reflection", backend=adapter.name)
    judged = _judged(adapter, tables) if tables is None or tables else []
    source = adoption.writing.module(judged, adoption.writing.GivenAccess({}), {})
    declared = adoption.writing.check(source).sorted_tables
    return Reflection(Schema(map(table_schema, declared)), dict(_skipped(judged)))


def _judged(adapter: PostgresAdapter, tables: Collection[str] | None) -> list[Judged]:
    with connected(adapter, writes=False) as connection:
        found = adoption.postgres.find(connection)
    with_rows = FoundDatabase(tuple(table for table in found.tables if table.kind in ROWS))
    return adoption.adopting.judged(with_rows, sa.MetaData(), {}, tables or ())


def _skipped(judged: Sequence[Judged]) -> Iterator[tuple[str, str]]:
    for one in judged:
        if not one.declared:
            yield one.table.name, one.reasons[0]
        yield from ((f"{one.table.name}.{column}", reason) for column, reason in one.refused.items())
