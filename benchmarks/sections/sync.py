"""Two-way sync, compared with one-way copies by hand that keep no state, and with dlt, if it is installed.

A first load begins with an empty target; what reading, comparing and remembering cost is in its time. Changes are 1,000
updates by plain SQL on the first side. All databases are new for each measurement, on one machine.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from time import perf_counter

import psycopg
from psycopg import sql

from benchmarks.contenders import one_way
from benchmarks.harness import Measure
from benchmarks.harness import compare
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import ConvexAdapter
from database import DatabaseAdapter
from database import Insert
from database import PostgresAdapter
from database import SQLiteAdapter
from database import SyncManager
from database import as_application
from database.schema.migrations import runner
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import laboratory_functions
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

ROWS = 100_000
MANY = 1_000_000
CHANGES = 1_000
CONVEX_ROWS = 20_000

_ROUNDS = 3
_SYNC = "Isthmus, two-way"
_DLT = "dlt"
_COPY = "COPY"
_INSERTS = "executemany"
_BY_HAND = "log, COPY and upsert by hand"
_BATCHES = "the largest batches"
_TO_POSTGRES = "Sync, first load, SQLite to PostgreSQL"
_TO_SQLITE = "Sync, first load, PostgreSQL to SQLite"
_PAIR = "Sync, first load, PostgreSQL to PostgreSQL"
_TO_CONVEX = "Sync, first load, SQLite to Convex"
_FOLLOW = "Sync, 1,000 changes among many rows, SQLite to PostgreSQL"
_IDLE = "Sync, a cycle without changes"

LINES = (
    Line("sync: first load of 100,000 rows, SQLite to PostgreSQL", _TO_POSTGRES, _SYNC, "`COPY`, one way", 5),
    Line("sync: 1,000,000 rows", _TO_POSTGRES, f"{_SYNC}, ten times the rows", "100,000 rows", 11, base=_SYNC),
    Line("sync: first load of 100,000 rows, PostgreSQL to SQLite", _TO_SQLITE, _SYNC, "`executemany`, one way", 5),
    Line("sync: first load of 100,000 rows, a PostgreSQL pair", _PAIR, _SYNC, "`COPY`, one way", 5),
    Line("sync: first load of 20,000 rows, SQLite to Convex", _TO_CONVEX, _SYNC, "the largest batches, one way", 1.5),
    Line("sync: 1,000 changes among 1,000,000 rows", _FOLLOW, _SYNC, "log, `COPY` and upsert by hand", 3),
    Line("sync: the same among 10,000 rows", _FOLLOW, f"{_SYNC}, few rows", "log, `COPY` and upsert by hand"),
    Line("sync: a cycle without changes", _IDLE, _SYNC, "", 1e-3, judged="figure"),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure each task; at most three times, because each takes seconds."""
    few = replace(plan, rounds=min(plan.rounds, _ROUNDS), warm_up=0)
    with TemporaryDirectory() as folder, PostgresServer(durable=True) as server:
        places = _Places(Path(folder), server)
        yield _loads_to_postgres(places, few)
        yield _loads_to_sqlite(places, few)
        yield _loads_of_a_pair(places, few)
        yield _changes(places, few)
        yield _idle(places, plan)
        yield _loads_to_convex(places, few)


class _Places:
    """Makes new databases, as copies of one that has the tables, because migrations take seconds."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self._folder = folder
        self._number = 0
        self._file = folder / "tables.db"
        self._database = server.create_database()
        for adapter in (_on_sqlite(self._file, "tables"), _on_postgres(self._database, "tables")):
            runner.upgrade(adapter)
            adapter.disconnect()

    @contextmanager
    def sqlite(self, rows: int = 0) -> Iterator[tuple[SQLiteAdapter, Path]]:
        """A SQLite file with the tables, and so many rows in one of them."""
        self._number += 1
        path = self._folder / f"{self._number}.db"
        copyfile(self._file, path)
        adapter = _on_sqlite(path, f"sqlite {self._number}")
        _fill(adapter, rows)
        try:
            yield adapter, path
        finally:
            adapter.disconnect()
            path.unlink()

    @contextmanager
    def postgres(self, rows: int = 0) -> Iterator[tuple[PostgresAdapter, PostgresDatabase]]:
        """A PostgreSQL database in the same way."""
        self._number += 1
        name = sql.Identifier(f"sync_{self._number}")
        there = replace(self._database, database=f"sync_{self._number}")
        template = sql.Identifier(self._database.database)
        self._run(sql.SQL("create database {} template {}").format(name, template))
        adapter = _on_postgres(there, f"postgres {self._number}")
        _fill(adapter, rows)
        try:
            yield adapter, there
        finally:
            adapter.disconnect()
            self._run(sql.SQL("drop database {} with (force)").format(name))

    def _run(self, statement: sql.Composed) -> None:
        postgres = replace(self._database, database="postgres")
        with psycopg.connect(postgres.dsn, autocommit=True) as connection:
            connection.execute(statement)


def _on_sqlite(path: Path, name: str) -> SQLiteAdapter:
    return SQLiteAdapter({"path": path, "timeout": 0}, name=name)


def _on_postgres(database: PostgresDatabase, name: str) -> PostgresAdapter:
    return PostgresAdapter({**asdict(database), "timeout": 0}, name=name)


def _loads_to_postgres(places: _Places, plan: Plan) -> Table:
    rows, many = plan.of(ROWS), plan.of(MANY)
    with ExitStack() as resources:
        source, path = resources.enter_context(places.sqlite(rows))
        large, _ = resources.enter_context(places.sqlite(many))

        def sync(first: DatabaseAdapter, number: int) -> float:
            with places.postgres() as (target, _):
                return _load(first, target, number)

        def copied(copy: Callable[[Path, PostgresDatabase], object]) -> float:
            with places.postgres() as (_, database):
                return _timed(lambda: copy(path, database))

        cases: dict[str, Measure] = {
            _COPY: lambda: copied(one_way.copy_to_postgres),
            "COPY and upsert": lambda: copied(one_way.upsert_to_postgres),
            _SYNC: lambda: sync(source, rows),
            f"{_SYNC}, ten times the rows": lambda: sync(large, many),
        }
        if find_spec("dlt"):
            cases[_DLT] = lambda: copied(one_way.dlt_to_postgres)
        return compare(_TO_POSTGRES, cases, baseline=_COPY, plan=plan, note=_size(rows))


def _loads_to_sqlite(places: _Places, plan: Plan) -> Table:
    rows = plan.of(ROWS)
    with places.postgres(rows) as (source, database):

        def sync() -> float:
            with places.sqlite() as (target, _):
                return _load(source, target, rows)

        def by_hand() -> float:
            with places.sqlite() as (_, path):
                return _timed(lambda: one_way.copy_to_sqlite(database, path))

        cases = {_INSERTS: by_hand, _SYNC: sync}
        return compare(_TO_SQLITE, cases, baseline=_INSERTS, plan=plan, note=_size(rows))


def _loads_of_a_pair(places: _Places, plan: Plan) -> Table:
    rows = plan.of(ROWS)
    with places.postgres(rows) as (source, database):

        def sync() -> float:
            with places.postgres() as (target, _):
                return _load(source, target, rows)

        def by_hand() -> float:
            with places.postgres() as (_, other):
                return _timed(lambda: one_way.copy_between(database, other))

        return compare(_PAIR, {_COPY: by_hand, _SYNC: sync}, baseline=_COPY, plan=plan, note=_size(rows))


def _loads_to_convex(places: _Places, plan: Plan) -> Table:
    rows = plan.of(CONVEX_ROWS)
    with places.sqlite(rows) as (source, _), laboratory_functions() as functions, ConvexDeployment(functions) as there:

        def sync() -> float:
            there.reset()
            target = ConvexAdapter({"url": there.url, "key": there.deploy_key, "timeout": 0})
            try:
                return _load(source, target, rows)
            finally:
                target.disconnect()

        def by_hand() -> float:
            there.reset()
            target = ConvexAdapter({"url": there.url, "key": there.deploy_key, "timeout": 0})
            try:
                return _timed(lambda: _fill(target, rows))
            finally:
                target.disconnect()

        cases = {_BATCHES: by_hand, _SYNC: sync}
        return compare(_TO_CONVEX, cases, baseline=_BATCHES, plan=plan, note=_size(rows))


def _changes(places: _Places, plan: Plan) -> Table:
    changes = plan.of(CHANGES)
    sizes = {f"{_SYNC}, few rows": plan.of(10_000), _SYNC: plan.of(MANY)}
    with ExitStack() as resources:
        cases: dict[str, Measure] = {}
        for name, rows in sizes.items():
            source, path = resources.enter_context(places.sqlite(rows))
            target, _ = resources.enter_context(places.postgres())
            manager = _synced(source, target)
            cases[name] = lambda manager=manager, path=path: _changed(manager, path, changes)  # type: ignore[misc]
        _, by_hand = resources.enter_context(places.postgres())
        # The last file is the large one.
        one_way.copy_to_postgres(path, by_hand)
        cases[_BY_HAND] = lambda: one_way.follow(path, by_hand, changes)
        return compare(
            _FOLLOW, cases, baseline=_BY_HAND, plan=plan, note=f"{changes:,} changes; {_size(plan.of(MANY))}"
        )


def _idle(places: _Places, plan: Plan) -> Table:
    with places.sqlite(plan.of(10_000)) as (source, _), places.postgres() as (target, _):
        manager = _synced(source, target)
        calls = plan.of(100)
        cases: dict[str, Measure] = {_SYNC: lambda: _timed(lambda: [manager.sync_all() for _ in range(calls)]) / calls}
        return compare(_IDLE, cases, baseline=_SYNC, plan=plan)


def _changed(manager: SyncManager, path: Path, changes: int) -> float:
    one_way.change(path, changes)
    return _timed(lambda: _require(manager))


def _synced(source: DatabaseAdapter, target: DatabaseAdapter) -> SyncManager:
    manager = SyncManager(source, target, sync_tables=[one_way.TABLE])
    _require(manager)
    return manager


def _load(source: DatabaseAdapter, target: DatabaseAdapter, rows: int) -> float:
    """The time of a first load. :raises RuntimeError: if a row is missing."""
    manager = SyncManager(source, target, sync_tables=[one_way.TABLE])
    seconds = _timed(lambda: _require(manager))
    if manager.get_sync_status()["tables"][one_way.TABLE]["copied_to_second"] != rows:
        raise RuntimeError("the sync has not copied every row")
    return seconds


def _require(manager: SyncManager) -> None:
    if not manager.sync_all():
        raise RuntimeError(f"the sync is not complete: {manager.get_sync_status()}")


def _fill(adapter: DatabaseAdapter, rows: int) -> None:
    with as_application():
        for start in range(0, rows, 1_000):
            numbers = range(start, min(rows, start + 1_000))
            adapter.run(Insert(one_way.TABLE, [one_way.record(number) for number in numbers], returning=False))


def _size(rows: int) -> str:
    return f"{rows:,} rows"


def _timed(run: Callable[[], object]) -> float:
    started = perf_counter()
    run()
    return perf_counter() - started
