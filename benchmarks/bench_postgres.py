"""PostgreSQL: Isthmus beside psycopg 3 and three peers, all over TCP to a server of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import peewee
import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import dict_row
from sqlspec.adapters.psycopg import PsycopgSyncConfig

from benchmarks.contenders import Isthmus
from benchmarks.contenders import IsthmusBuilder
from benchmarks.contenders import Peewee
from benchmarks.contenders import SqlAlchemyCore
from benchmarks.contenders import SqlSpec
from benchmarks.items import CHEAPEST
from benchmarks.items import COLUMNS
from benchmarks.items import INSERT
from benchmarks.items import MOST_PRICE
from benchmarks.items import PAGE
from benchmarks.items import POINT
from benchmarks.items import SCHEMA
from benchmarks.items import Contender
from benchmarks.items import Item
from benchmarks.items import create
from benchmarks.items import items
from benchmarks.items import measure
from database.adapters.postgres import PostgresAdapter
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

_POINT, _CHEAPEST, _INSERT = (text.replace("?", "%s") for text in (POINT, CHEAPEST, INSERT))
_COPY = sql.SQL("copy {} ({}) from stdin").format(
    sql.Identifier(items.name), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
)


def run(rounds: int) -> None:
    """Print a table for each thing that is done."""
    with (
        _on_one_core(),
        PostgresServer(durable=True) as server,
        server.database() as database,
        ExitStack() as resources,
    ):
        create(database.sqlalchemy_url)
        contenders = {name: make(database, resources) for name, make in _CONTENDERS.items()}
        where = f"PostgreSQL {_version(database)} (TCP, one core, commits on disk)"
        measure(where, contenders, baseline="psycopg 3, dicts, COPY", rounds=rounds)


@contextmanager
def _on_one_core() -> Iterator[None]:
    """Keep this process and the server together, where the system can.

    Else a call takes twice as long or not by where the scheduler puts the two, which tells nothing about the caller.
    """
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class _Raw(Contender):
    """One connection of psycopg 3 that commits every statement by itself; statements prepared, batches by COPY."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def point(self, key: str) -> Any:
        return self._connection.execute(_POINT, (key,), prepare=True).fetchone()

    def page(self, category: str) -> list[Any]:
        return self._connection.execute(_CHEAPEST, (category, MOST_PRICE, PAGE), prepare=True).fetchall()

    def insert(self, item: Item) -> None:
        self._connection.execute(_INSERT, tuple(item.values()), prepare=True)

    def batch(self, batch: list[Item]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(_COPY) as copy:
            for item in batch:
                copy.write_row(tuple(item.values()))


class _RawExecuteMany(_Raw):
    """The same with a statement per row of a batch."""

    def batch(self, batch: list[Item]) -> None:
        with self._connection.transaction(), self._connection.cursor() as cursor:
            cursor.executemany(_INSERT, [tuple(item.values()) for item in batch])


def _raw_tuples(database: PostgresDatabase, resources: ExitStack) -> Contender:
    return _RawExecuteMany(resources.enter_context(psycopg.connect(database.dsn, autocommit=True)))


def _raw_dicts(database: PostgresDatabase, resources: ExitStack) -> Contender:
    return _Raw(resources.enter_context(psycopg.connect(database.dsn, autocommit=True, row_factory=dict_row)))


def _adapter(database: PostgresDatabase, resources: ExitStack) -> PostgresAdapter:
    adapter = PostgresAdapter(asdict(database), SCHEMA)
    resources.callback(adapter.disconnect)
    return adapter


def _isthmus(database: PostgresDatabase, resources: ExitStack) -> Contender:
    return Isthmus(_adapter(database, resources))


def _isthmus_builder(database: PostgresDatabase, resources: ExitStack) -> Contender:
    return IsthmusBuilder(_adapter(database, resources))


def _sqlalchemy(database: PostgresDatabase, resources: ExitStack) -> Contender:
    engine = sa.create_engine(database.sqlalchemy_url)
    resources.callback(engine.dispose)
    return SqlAlchemyCore(engine)


def _sqlspec(database: PostgresDatabase, resources: ExitStack) -> Contender:
    contender = SqlSpec(PsycopgSyncConfig(connection_config={"conninfo": database.dsn}), "%s")
    resources.callback(contender.close)
    return contender


def _peewee(database: PostgresDatabase, resources: ExitStack) -> Contender:
    connection = peewee.PostgresqlDatabase(
        database.database,
        host=database.host,
        port=database.port,
        user=database.user,
        password=database.password,
        prefer_psycopg3=True,
    )
    resources.callback(connection.close)
    return Peewee(connection)


def _version(database: PostgresDatabase) -> str:
    with psycopg.connect(database.dsn) as connection:
        return connection.info.parameter_status("server_version") or "of unknown version"


_CONTENDERS: dict[str, Callable[[PostgresDatabase, ExitStack], Contender]] = {
    "psycopg 3, tuples, executemany": _raw_tuples,
    "psycopg 3, dicts, COPY": _raw_dicts,
    "Isthmus": _isthmus,
    "Isthmus, builder": _isthmus_builder,
    "SQLAlchemy Core": _sqlalchemy,
    "sqlspec": _sqlspec,
    "peewee": _peewee,
}
