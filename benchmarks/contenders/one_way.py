"""Copies of a table by hand, in one direction and without any state: what a two-way sync is measured by."""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC
from datetime import datetime
from importlib import import_module
from pathlib import Path
from time import perf_counter
from typing import Any
from typing import Final

import apsw
import psycopg

from tests.servers.postgres import PostgresDatabase

TABLE: Final = "molecules"

_COLUMNS: Final = "id, name, formula, properties, created_at, updated_at, version"
_ALL: Final = f"select {_COLUMNS} from {TABLE}"  # noqa: S608  # constants
_PLAIN: Final = f"create table plain_copy (like {TABLE} including indexes)"
_COPY: Final = f"copy plain_copy ({_COLUMNS}) from stdin"
_STAGE: Final = f"create temporary table staged on commit drop as select {_COLUMNS} from plain_copy with no data"  # noqa: S608
_UPSERT: Final = f"""
insert into plain_copy ({_COLUMNS}) select {_COLUMNS} from staged on conflict (id) do update set
name = excluded.name, formula = excluded.formula, properties = excluded.properties,
created_at = excluded.created_at, updated_at = excluded.updated_at, version = excluded.version"""  # noqa: S608
_CHANGED: Final = f"""
select {_COLUMNS} from {TABLE}
where id in (select record_id from isthmus_changes where seq > ? and table_name = '{TABLE}')"""  # noqa: S608


def record(number: int) -> dict[str, Any]:
    """A row of the table."""
    moment = datetime(2026, 1, 2, 3, 4, number % 60, number % 1_000_000, tzinfo=UTC)
    properties = {"mass": 18.0 + number, "names": ["water", "oxidane"]}
    return {
        "id": f"0190a1b2-{number:010}",
        "name": f"molecule {number}",
        "formula": "H2O",
        "properties": properties,
        "created_at": moment,
        "updated_at": moment,
    }


def copy_to_postgres(source: Path, target: PostgresDatabase) -> None:
    """COPY all rows into a new table without triggers, which has the same indexes."""
    with closing(opened(source)) as rows, psycopg.connect(target.dsn) as connection:
        connection.execute(_PLAIN)
        _copy(connection, _COPY, rows.execute(_ALL))


def upsert_to_postgres(source: Path, target: PostgresDatabase) -> None:
    """The same through a temporary table, so that it can be repeated."""
    with closing(opened(source)) as rows, psycopg.connect(target.dsn) as connection:
        connection.execute(_PLAIN)
        _upsert(connection, rows.execute(_ALL))


def copy_to_sqlite(source: PostgresDatabase, target: Path) -> None:
    """Insert all rows into a new table without triggers."""
    with psycopg.connect(source.dsn) as connection, closing(opened(target)) as file:
        file.execute(
            "create table plain_copy (id text primary key, name, formula, properties, created, updated, version)"
        )
        with connection.cursor("all_rows") as cursor:
            cursor.itersize = 5_000
            cursor.execute(_ALL.replace("properties", "properties::text").replace("_at", "_at::text"))
            with file:
                file.executemany("insert into plain_copy values (?, ?, ?, ?, ?, ?, ?)", cursor)


def copy_between(source: PostgresDatabase, target: PostgresDatabase) -> None:
    """Pass what COPY sends from one database on to the other."""
    with psycopg.connect(source.dsn) as first, psycopg.connect(target.dsn) as second:
        second.execute(_PLAIN)
        with first.cursor().copy(f"copy {TABLE} ({_COLUMNS}) to stdout") as out, second.cursor().copy(_COPY) as into:
            for block in out:
                into.write(block)


def dlt_to_postgres(source: Path, target: PostgresDatabase) -> Any:
    """A first run of dlt, which replaces the table; returns its pipeline."""
    dlt: Any = import_module("dlt")
    name = f"loads_{random.randrange(10**9)}"
    there = dlt.destinations.postgres(target.url)
    pipeline = dlt.pipeline(name, destination=there, dataset_name="loads", pipelines_dir=str(source.parent / name))
    with closing(opened(source)) as file:
        _run_dlt(pipeline, file.execute(_ALL), "replace")
    return pipeline


def dlt_follow(pipeline: Any, source: Path, changes: int) -> float:
    """The time of a later run, which gets the changed rows from the log and merges them."""
    with closing(opened(source)) as file:
        ((last,),) = file.execute("select max(seq) from isthmus_changes")
        change(source, changes)
        started = perf_counter()
        _run_dlt(pipeline, file.execute(_CHANGED, (last,)), "merge")
        return perf_counter() - started


def _run_dlt(pipeline: Any, rows: Iterable[tuple[Any, ...]], disposition: str) -> None:
    names = _COLUMNS.split(", ")
    records = (dict(zip(names, row, strict=True)) for row in rows)
    pipeline.run(records, table_name=TABLE, write_disposition=disposition, primary_key="id")


def change(path: Path, changes: int) -> None:
    """Update random rows by plain SQL, as another program does."""
    with closing(opened(path)) as file:
        ((total,),) = file.execute(f"select count(*) from {TABLE}")  # noqa: S608
        numbers = random.sample(range(total), min(total, changes))
        update = f"update {TABLE} set name = ?, version = version + 1 where id = ?"  # noqa: S608
        with file:
            file.executemany(update, [(f"changed {random.random()}", record(number)["id"]) for number in numbers])


def follow(source: Path, target: PostgresDatabase, changes: int) -> float:
    """The time to find changed rows in the log and to upsert them."""
    with closing(opened(source)) as file:
        ((last,),) = file.execute("select max(seq) from isthmus_changes")
        change(source, changes)
        started = perf_counter()
        with psycopg.connect(target.dsn) as connection:
            _upsert(connection, file.execute(_CHANGED, (last,)).fetchall())
        return perf_counter() - started


def opened(path: Path) -> apsw.Connection:
    """A connection by the library that the adapter uses: two libraries in one process lose each other's locks."""
    file = apsw.Connection(str(path))
    file.set_busy_timeout(60_000)
    return file


def _upsert(connection: psycopg.Connection[Any], rows: Iterable[tuple[Any, ...]]) -> None:
    connection.execute(_STAGE)
    _copy(connection, f"copy staged ({_COLUMNS}) from stdin", rows)
    connection.execute(_UPSERT)


def _copy(connection: psycopg.Connection[Any], statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
    with connection.cursor().copy(statement) as copy:
        for row in rows:
            copy.write_row(row)
