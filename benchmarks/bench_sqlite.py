"""SQLite: Isthmus beside the standard library's driver, apsw and three peers."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import apsw
import peewee
import sqlalchemy as sa
from sqlspec.adapters.sqlite import SqliteConfig

from benchmarks.contenders import Isthmus
from benchmarks.contenders import IsthmusBuilder
from benchmarks.contenders import Peewee
from benchmarks.contenders import SqlAlchemyCore
from benchmarks.contenders import SqlSpec
from benchmarks.items import CHEAPEST
from benchmarks.items import INSERT
from benchmarks.items import MOST_PRICE
from benchmarks.items import PAGE
from benchmarks.items import POINT
from benchmarks.items import SCHEMA
from benchmarks.items import Contender
from benchmarks.items import Item
from benchmarks.items import create
from benchmarks.items import measure
from benchmarks.items import record
from benchmarks.items import records
from database.adapters.sqlite import SQLiteAdapter

_PRAGMAS = {"journal_mode": "wal", "synchronous": "normal", "cache_size": -16384}
_SETTINGS = ", ".join(f"{name}={value}" for name, value in _PRAGMAS.items())


def run(rounds: int) -> None:
    """Print a table for each thing that is done."""
    with TemporaryDirectory(prefix="isthmus-bench-") as folder, ExitStack() as resources:
        template = Path(folder, "template.db")
        create(f"sqlite:///{template}")
        # A file for each, so that nobody empties another's cache by writing.
        contenders = {
            name: make(shutil.copyfile(template, Path(folder, f"{make.__name__}.db")), resources)
            for name, make in _CONTENDERS.items()
        }
        measure(f"SQLite ({_SETTINGS})", contenders, baseline="sqlite3, dicts", rounds=rounds)


class _RawTuples(Contender):
    """One connection of sqlite3, which commits every statement by itself; rows as they come."""

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


class _RawDicts(_RawTuples):
    """The same with every row made a dictionary, by names that stand in the program."""

    def point(self, key: str) -> Any:
        return record(self._connection.execute(POINT, (key,)).fetchone())

    def page(self, category: str) -> list[Any]:
        return records(self._connection.execute(CHEAPEST, (category, MOST_PRICE, PAGE)))


class _RawRows(_RawTuples):
    """The same with the driver's own rows, which know their columns, made dictionaries."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        connection.row_factory = sqlite3.Row

    def point(self, key: str) -> Any:
        return dict(self._connection.execute(POINT, (key,)).fetchone())

    def page(self, category: str) -> list[Any]:
        return [dict(row) for row in self._connection.execute(CHEAPEST, (category, MOST_PRICE, PAGE))]


class _Apsw(Contender):
    """The driver that Isthmus uses, by itself, with rows as dictionaries."""

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
    config = SqliteConfig(connection_config={"database": str(path)}, driver_features={"pragmas": _PRAGMAS})
    contender = SqlSpec(config, "?")
    resources.callback(contender.close)
    return contender


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
