"""PostgreSQL: Isthmus compared with psycopg 3 and three libraries, all over TCP to a separate server."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from importlib import import_module
from typing import Any
from typing import cast

import peewee
import psycopg
import sqlalchemy as sa
from psycopg import sql
from psycopg.rows import dict_row

from benchmarks.contenders.sql import Isthmus
from benchmarks.contenders.sql import IsthmusBuilder
from benchmarks.contenders.sql import Peewee
from benchmarks.contenders.sql import SqlAlchemyCore
from benchmarks.harness import on_one_core
from benchmarks.items import CHEAPEST
from benchmarks.items import COLUMNS
from benchmarks.items import INSERT
from benchmarks.items import MANY_INSERTS
from benchmarks.items import MOST_PRICE
from benchmarks.items import ONE_INSERT
from benchmarks.items import PAGE
from benchmarks.items import POINT
from benchmarks.items import POINT_READ
from benchmarks.items import ROWS
from benchmarks.items import SCHEMA
from benchmarks.items import TRANSACTION
from benchmarks.items import UPDATE
from benchmarks.items import Contender
from benchmarks.items import Item
from benchmarks.items import create
from benchmarks.items import installed
from benchmarks.items import items
from benchmarks.items import measure
from benchmarks.items import sql_lines
from benchmarks.plan import Plan
from benchmarks.table import Table
from database import PostgresAdapter
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

_POINT, _CHEAPEST, _INSERT, _UPDATE = (text.replace("?", "%s") for text in (POINT, CHEAPEST, INSERT, UPDATE))
_COPY = sql.SQL("copy {} ({}) from stdin").format(
    sql.Identifier(items.name), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
)


LINES = (
    *sql_lines(
        "PostgreSQL",
        "Isthmus",
        {
            POINT_READ: ("psycopg 3, prepared, dicts", 1.1),
            ROWS: ("psycopg 3, prepared, dicts", 1.1),
            ONE_INSERT: ("psycopg 3, prepared", 1.1),
            MANY_INSERTS: ("`COPY`", 1.5),
            TRANSACTION: ("psycopg 3, serializable", 1.2),
        },
    ),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure each task."""
    with (
        on_one_core(),
        PostgresServer(durable=True) as server,
        server.database() as database,
        ExitStack() as resources,
    ):
        create(database.sqlalchemy_url, plan)
        contenders = {name: make(database, resources) for name, make in installed(_CONTENDERS).items()}
        note = f"PostgreSQL {_version(database)}, over TCP, on one core, commits on disk"
        yield from measure("PostgreSQL", contenders, baseline="psycopg 3, dicts, COPY", plan=plan, note=note)


class _Raw(Contender):
    """A connection of psycopg 3 that commits every statement; prepared statements, batches by COPY.

    Its transactions are serializable, like those of Isthmus; the other libraries use the server's default.
    """

    _quantity: Any = "quantity"

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
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

    def count_up(self, key: str) -> None:
        with self._connection.transaction():
            quantity = self.point(key)[self._quantity]
            self._connection.execute(_UPDATE, (quantity + 1, key), prepare=True)


class _RawExecuteMany(_Raw):
    """The same with a statement per row of a batch, and rows as tuples."""

    _quantity = COLUMNS.index("quantity")

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
    contender = import_module("benchmarks.contenders.sqlspec").on_postgres(database.dsn)
    resources.callback(contender.close)
    return cast(Contender, contender)


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
