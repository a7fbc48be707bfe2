"""Inserts by a driver into a table whose changes are logged, and into the same table without our triggers."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import datetime
from pathlib import Path
from time import perf_counter
from typing import Any
from typing import Final

import orjson
import psycopg

from benchmarks.contenders import one_way
from tests.servers.postgres import PostgresDatabase

_INTO: Final = f"insert into {one_way.TABLE} (id, name, formula, properties, created_at, updated_at, version)"
_LISTS: Final = (
    " select * from unnest(%s::text[], %s::text[], %s::text[], %s::jsonb[], %s::timestamptz[], %s::timestamptz[],"
    " %s::bigint[])"
)
_COPY: Final = f"copy {one_way.TABLE} (id, name, formula, properties, created_at, updated_at, version) from stdin"
_OURS: Final = "select name from sqlite_schema where type = 'trigger' and tbl_name = ? and name like 'isthmus%'"


def forget_postgres(database: PostgresDatabase) -> None:
    """Disable the triggers."""
    with psycopg.connect(database.dsn) as connection:
        connection.execute(f"alter table {one_way.TABLE} disable trigger user")


def forget_sqlite(path: Path) -> None:
    """Drop the triggers."""
    with closing(one_way.opened(path)) as file:
        for (name,) in list(file.execute(_OURS, (one_way.TABLE,))):
            file.execute(f'drop trigger "{name}"')


def insert_one(connection: psycopg.Connection[Any], row: tuple[Any, ...]) -> None:
    """Insert a row and commit."""
    connection.execute(f"{_INTO} values (%s, %s, %s, %s, %s, %s, %s)", row, prepare=True)


def insert_many(database: PostgresDatabase, number: int) -> float:
    """The time of one statement that inserts so many rows, with its commit."""
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        columns = [list(column) for column in zip(*rows(number), strict=True)]
        started = perf_counter()
        connection.execute(f"{_INTO}{_LISTS}", columns)
        return perf_counter() - started


def copy_many(database: PostgresDatabase, number: int) -> float:
    """The time of one COPY."""
    with psycopg.connect(database.dsn) as connection:
        made = rows(number)
        started = perf_counter()
        with connection.cursor().copy(_COPY) as copy:
            for row in made:
                copy.write_row(row)
        connection.commit()
        return perf_counter() - started


def insert_into_sqlite(path: Path, number: int) -> float:
    """The time of one transaction that inserts so many rows by a prepared statement."""
    with closing(one_way.opened(path)) as file:
        file.execute("pragma synchronous = normal")
        made = [(*row[:4], *map(_as_text, row[4:6]), row[6]) for row in rows(number)]
        started = perf_counter()
        with file:
            file.executemany(f"{_INTO} values (?, ?, ?, ?, ?, ?, ?)", made)
        return perf_counter() - started


def rows(number: int) -> list[tuple[Any, ...]]:
    """New rows, each with a version of 1."""
    start = random.randrange(10**9)
    made = [one_way.record(start + place) for place in range(number)]
    return [
        (f"{start}-{row['id']}", *_values({**row, "properties": orjson.dumps(row["properties"]).decode()}), 1)
        for row in made
    ]


def _values(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("name", "formula", "properties", "created_at", "updated_at"))


def _as_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
