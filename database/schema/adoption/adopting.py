"""Reads a database and makes declarations of its tables, without changing anything in it."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.core.errors import NotFound
from database.core.errors import Unsupported
from database.schema import adoption
from database.schema.adoption.found import FoundDatabase
from database.schema.adoption.found import FoundTable
from database.schema.adoption.judged import Judged
from database.schema.adoption.judged import judge
from database.schema.adoption.marks import is_adopted
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import connected
from database.schema.sqlalchemy_engine import has_engine
from database.schema.sqlalchemy_engine import is_there

_OURS: Final = "isthmus_"


def find(adapter: DatabaseAdapter, schemas: Sequence[str] = ()) -> FoundDatabase:
    """Read the tables of a database.

    :param schemas: the schemas of PostgreSQL to read besides those on the search path.
    :raises Unsupported: for a backend without SQL tables.
    :raises NotFound: for an SQLite file or a schema that does not exist.
    :raises DataError: if the database cannot be reached.
    """
    if not has_engine(adapter):
        raise Unsupported("adoption", backend=adapter.name, detail=f"{adapter.name} has no SQL tables to adopt")
    adapter = bare(adapter)
    if not is_there(adapter):
        raise NotFound(f"the SQLite file of {adapter.name} does not exist; set LOCAL_DB_PATH to the file to adopt")
    if adapter.sql_dialect == "sqlite":
        if schemas:
            raise NotFound(f"an SQLite file has no schemas, so there is none named {schemas[0]!r}")
        # Not through the adapter, which switches a file to write-ahead logging.
        return adoption.sqlite.find(Path(adapter.describe()["path"]))
    with connected(adapter, writes=False) as connection:
        return adoption.postgres.find(connection, schemas)


def judged(
    found: FoundDatabase, declared: sa.MetaData, keys: Mapping[str, Sequence[str]], only: Collection[str] = ()
) -> list[Judged]:
    """Judge the tables that are neither ours nor declared otherwise.

    :param declared: the application's tables.
    :param keys: the columns that identify a row, of tables and views without a primary key.
    :param only: the names of the tables to adopt; empty for all.
    :raises NotFound: for a name that no table has.
    """
    names = {table.name for table in found.tables}
    for name in (*only, *keys):
        if name not in names:
            raise NotFound(f"the database has no table {name!r}")
    tables = [table for table in found.tables if not table.name.startswith(_OURS) and (not only or table.name in only)]
    # Of several tables with one name, the first is that on the search path.
    first = {table.name: table for table in reversed(tables)}
    others = {table.name: table for table in declared.tables.values() if not is_adopted(table)}
    return [_judged(table, first[table.name], others, keys.get(table.name, ())) for table in tables]


def _judged(table: FoundTable, first: FoundTable, others: Mapping[str, sa.Table], key: Sequence[str]) -> Judged:
    if table is not first:
        reason = f"{first.place} has the same name, and a table is addressed by its name alone; rename one of them"
        return Judged(table, "left out", {}, (reason,))
    if table.name in others:
        return Judged(table, "left out", {}, ("it is declared already, in config/tables.py",))
    assert table.name not in internal_tables.metadata.tables
    return judge(table, key)
