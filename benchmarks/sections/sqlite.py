"""SQLite: Isthmus compared with the driver of the standard library, apsw and three libraries."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import closing
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from typing import cast

import apsw
import peewee
import sqlalchemy as sa

from benchmarks.contenders.sql import Isthmus
from benchmarks.contenders.sql import IsthmusBuilder
from benchmarks.contenders.sql import Peewee
from benchmarks.contenders.sql import SqlAlchemyCore
from benchmarks.harness import compare
from benchmarks.harness import per_call
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
from benchmarks.items import measure
from benchmarks.items import record
from benchmarks.items import records
from benchmarks.items import sql_lines
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import SQLiteAdapter

_PRAGMAS = {"journal_mode": "wal", "synchronous": "normal", "cache_size": -16384}
_SETTINGS = ", ".join(f"{name}={value}" for name, value in _PRAGMAS.items())
_BASELINE = "sqlite3, dicts"
_DRIVER = "`sqlite3`"
_EMPTY = "SQLite: empty transaction"

LINES = (
    *sql_lines(
        "SQLite",
        "Isthmus",
        {
            POINT_READ: (f"{_DRIVER}, dicts", 1.15),
            ROWS: (f"{_DRIVER}, dicts", 1.0),
            ONE_INSERT: (_DRIVER, 1.1),
            MANY_INSERTS: (_DRIVER, 1.1),
            TRANSACTION: (_DRIVER, 1.6),
        },
    ),
    Line("SQLite point read with the builder", f"SQLite: {POINT_READ}", "Isthmus, builder", f"{_DRIVER}, dicts", 1.5),
    Line("SQLite empty transaction", _EMPTY, "Isthmus", _DRIVER, 2.0),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure each task."""
    with TemporaryDirectory(prefix="isthmus-bench-") as folder, ExitStack() as resources:
        template = Path(folder, "template.db")
        create(f"sqlite:///{template}", plan)
        # A separate file for each, so that no contender invalidates the cache of another by writing.
        contenders = {
            name: make(shutil.copyfile(template, Path(folder, f"{make.__name__}.db")), resources)
            for name, make in installed(_CONTENDERS).items()
        }
        yield from measure("SQLite", contenders, baseline=_BASELINE, plan=plan, note=_SETTINGS)
        calls = plan.of(500)
        empty = {name: one.nothing for name, one in contenders.items() if isinstance(one, _RawTuples | Isthmus)}
        cases = {name: per_call(nothing, calls) for name, nothing in empty.items()}
        yield compare(_EMPTY, cases, baseline=_BASELINE, plan=plan, note=_SETTINGS)


class _RawTuples(Contender):
    """A connection of sqlite3 that commits every statement; rows as tuples."""

    _quantity: Any = COLUMNS.index("quantity")

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def point(self, key: str) -> Any:
        return self._connection.execute(POINT, (key,)).fetchone()

    def page(self, category: str) -> list[Any]:
        return self._connection.execute(CHEAPEST, (category, MOST_PRICE, PAGE)).fetchall()

    def insert(self, item: Item) -> None:
        self._connection.execute(INSERT, tuple(item.values()))

    def batch(self, batch: list[Item]) -> None:
        self._connection.execute("begin immediate")
        self._connection.executemany(INSERT, [tuple(item.values()) for item in batch])
        self._connection.execute("commit")

    def count_up(self, key: str) -> None:
        # Take the write lock at the beginning; otherwise the update could fail after a write of another connection.
        self._connection.execute("begin immediate")
        quantity = self.point(key)[self._quantity]
        self._connection.execute(UPDATE, (quantity + 1, key))
        self._connection.execute("commit")

    def nothing(self) -> None:
        """An empty transaction."""
        self._connection.execute("begin immediate")
        self._connection.execute("commit")


class _RawDicts(_RawTuples):
    """The same with every row as a dictionary, with column names from the program."""

    _quantity = "quantity"

    def point(self, key: str) -> Any:
        return record(self._connection.execute(POINT, (key,)).fetchone())

    def page(self, category: str) -> list[Any]:
        return records(self._connection.execute(CHEAPEST, (category, MOST_PRICE, PAGE)))


class _RawRows(_RawTuples):
    """The same with the driver's row objects converted to dictionaries."""

    _quantity = "quantity"

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        connection.row_factory = sqlite3.Row

    def point(self, key: str) -> Any:
        return dict(self._connection.execute(POINT, (key,)).fetchone())

    def page(self, category: str) -> list[Any]:
        return [dict(row) for row in self._connection.execute(CHEAPEST, (category, MOST_PRICE, PAGE))]


class _Apsw(Contender):
    """apsw, the driver of Isthmus, used directly; rows as dictionaries."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection

    def point(self, key: str) -> Any:
        row: Any = self._connection.execute(POINT, (key,)).fetchone()
        return record(row)

    def page(self, category: str) -> list[Any]:
        return records(self._connection.execute(CHEAPEST, (category, MOST_PRICE, PAGE)))

    def insert(self, item: Item) -> None:
        self._connection.execute(INSERT, tuple(item.values()))

    def batch(self, batch: list[Item]) -> None:
        with self._connection:
            self._connection.executemany(INSERT, [tuple(item.values()) for item in batch])

    def count_up(self, key: str) -> None:
        self._connection.execute("begin immediate")
        quantity = self.point(key)["quantity"]
        self._connection.execute(UPDATE, (quantity + 1, key))
        self._connection.execute("commit")


def _sqlite3(path: Path, resources: ExitStack) -> sqlite3.Connection:
    connection = resources.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
    _set_up(connection.execute)
    return connection


def _raw_tuples(path: Path, resources: ExitStack) -> Contender:
    return _RawTuples(_sqlite3(path, resources))


def _raw_dicts(path: Path, resources: ExitStack) -> Contender:
    return _RawDicts(_sqlite3(path, resources))


def _raw_rows(path: Path, resources: ExitStack) -> Contender:
    return _RawRows(_sqlite3(path, resources))


def _apsw(path: Path, resources: ExitStack) -> Contender:
    connection = resources.enter_context(closing(apsw.Connection(str(path))))
    _set_up(connection.execute)
    return _Apsw(connection)


def _adapter(path: Path, resources: ExitStack) -> SQLiteAdapter:
    adapter = SQLiteAdapter({"path": path, "synchronous": _PRAGMAS["synchronous"]}, SCHEMA)
    resources.callback(adapter.disconnect)
    return adapter


def _isthmus(path: Path, resources: ExitStack) -> Contender:
    return Isthmus(_adapter(path, resources))


def _isthmus_builder(path: Path, resources: ExitStack) -> Contender:
    return IsthmusBuilder(_adapter(path, resources))


def _sqlalchemy(path: Path, resources: ExitStack) -> Contender:
    engine = sa.create_engine(f"sqlite:///{path}")
    resources.callback(engine.dispose)
    sa.event.listen(engine, "connect", lambda connection, _: _set_up(connection.execute))
    return SqlAlchemyCore(engine)


def _sqlspec(path: Path, resources: ExitStack) -> Contender:
    contender = import_module("benchmarks.contenders.sqlspec").on_sqlite(str(path), _PRAGMAS)
    resources.callback(contender.close)
    return cast(Contender, contender)


def _peewee(path: Path, resources: ExitStack) -> Contender:
    database = peewee.SqliteDatabase(str(path), pragmas=_PRAGMAS)
    resources.callback(database.close)
    return Peewee(database)


def _set_up(execute: Callable[[str], Any]) -> None:
    for name, value in _PRAGMAS.items():
        execute(f"pragma {name} = {value}")


_CONTENDERS: dict[str, Callable[[Path, ExitStack], Contender]] = {
    "sqlite3, tuples": _raw_tuples,
    "sqlite3, dicts": _raw_dicts,
    "sqlite3, dict(Row)": _raw_rows,
    "apsw, dicts": _apsw,
    "Isthmus": _isthmus,
    "Isthmus, builder": _isthmus_builder,
    "SQLAlchemy Core": _sqlalchemy,
    "sqlspec": _sqlspec,
    "peewee": _peewee,
}
