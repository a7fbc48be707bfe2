"""Two-way sync, compared with one-way copies by hand that keep no state, and with dlt, if it is installed.

A first load begins with an empty target; what reading, comparing and remembering cost is in its time. Changes are 1,000
updates by plain SQL on the first side; those that were made for other contenders are synced before. All databases are
new for each measurement, on one machine. PostgreSQL has memory for all contenders' tables, and as much log as its
manual recommends for large loads, so that neither the disk nor a checkpoint decides.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import AbstractContextManager
from contextlib import ExitStack
from dataclasses import asdict
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from random import random
from tempfile import TemporaryDirectory
from time import perf_counter
from time import sleep
from typing import Any
from typing import TypeVar

import psycopg

from benchmarks.contenders import captured
from benchmarks.contenders import loaded
from benchmarks.contenders import one_way
from benchmarks.harness import Measure
from benchmarks.harness import compare
from benchmarks.harness import compare_by_turns
from benchmarks.places import Places
from benchmarks.places import emptied
from benchmarks.places import fill
from benchmarks.plan import Plan
from benchmarks.processes import cost
from benchmarks.summary import Line
from benchmarks.table import Table
from benchmarks.table import megabytes
from database import DatabaseAdapter
from database import Insert
from database import SyncManager
from database import as_application
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import laboratory_functions
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

ROWS = 100_000
MANY = 1_000_000
CHANGES = 1_000
CONVEX_ROWS = 20_000
Place = TypeVar("Place")
"""Where a database is."""

INTERVAL = 1.0
"""Seconds between two cycles, where the freshness is measured."""

_ROUNDS = 3
_SAME = 1.1
"""The largest ratio of two sizes of memory that count as the same: the allocator's pieces differ from run to run."""

_SETTINGS = {"shared_buffers": "2GB", "max_wal_size": "4GB", "checkpoint_timeout": "1h", "wal_init_zero": "off"}
"""A server in use takes old files of its log; a new one would fill each with zeros, 50 ms for the next to write."""
_SYNC = "Isthmus, two-way"
_LARGE = f"{_SYNC}, ten times the rows"
_FEW = f"{_SYNC}, few rows"
_DLT = "dlt"
_COPY = "COPY"
_INSERTS = "executemany"
_BY_HAND = "log, COPY and upsert by hand"
_BATCHES = "the largest batches"
_LOGGED = "with the change log"
_PLAIN = "without"
_TO_POSTGRES = "Sync, first load, SQLite to PostgreSQL"
_NEEDED = "Sync, first load, SQLite to PostgreSQL: peak memory of the process"
_TO_SQLITE = "Sync, first load, PostgreSQL to SQLite"
_PAIR = "Sync, first load, PostgreSQL to PostgreSQL"
_TO_CONVEX = "Sync, first load, SQLite to Convex"
_FOLLOW = "Sync, 1,000 changes among many rows, SQLite to PostgreSQL"
_IDLE = "Sync, a cycle without changes"
_FRESH = "Sync, from a commit to the other database, 95th percentile"
_CAPTURE_ONE = "Change log, PostgreSQL, an insert and commit"
_CAPTURE_MANY = "Change log, PostgreSQL, 1,000 rows in one statement"
_CAPTURE_COPY = "Change log, PostgreSQL, COPY"
_CAPTURE_SQLITE = "Change log, SQLite, 1,000 rows in one transaction"

LINES = (
    Line("change log: PostgreSQL insert and commit", _CAPTURE_ONE, _LOGGED, "without triggers", 1.35),
    Line("change log: PostgreSQL insert of 1,000 rows", _CAPTURE_MANY, _LOGGED, "without triggers", 1.35),
    Line("change log: PostgreSQL `COPY` of 20,000 rows", _CAPTURE_COPY, _LOGGED, "without triggers", 1.35),
    Line("change log: SQLite insert of 1,000 rows", _CAPTURE_SQLITE, _LOGGED, "without triggers", 2),
    Line("sync: first load of 100,000 rows, SQLite to PostgreSQL", _TO_POSTGRES, _SYNC, "`COPY`, one way", 5),
    Line("sync: 1,000,000 rows", _TO_POSTGRES, _LARGE, "100,000 rows", 11, base=_SYNC),
    Line("sync: 1,000,000 rows, peak memory", _NEEDED, _LARGE, "100,000 rows", _SAME, base=_SYNC),
    Line("sync: dlt, first load of 100,000 rows", _TO_POSTGRES, _DLT, "Isthmus", base=_SYNC),
    Line("sync: first load of 100,000 rows, PostgreSQL to SQLite", _TO_SQLITE, _SYNC, "`executemany`, one way", 5),
    Line("sync: first load of 100,000 rows, a PostgreSQL pair", _PAIR, _SYNC, "`COPY`, one way", 5),
    Line("sync: first load of 20,000 rows, SQLite to Convex", _TO_CONVEX, _SYNC, "the largest batches, one way", 1.5),
    Line("sync: 1,000 changes among 1,000,000 rows", _FOLLOW, _SYNC, "log, `COPY` and upsert by hand", 3),
    Line("sync: the same, beside fewer rows", _FOLLOW, _SYNC, "1,000 changes among 10,000 rows", 1.3, base=_FEW),
    Line("sync: dlt, the same 1,000 changes", _FOLLOW, _DLT, "Isthmus", 4, base=_SYNC, at_least=True),
    Line("sync: a cycle without changes", _IDLE, _SYNC, "", 1e-3, judged="figure"),
    Line("sync: a change is on the other side, p95", _FRESH, _SYNC, "", INTERVAL + 0.5, judged="figure"),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure each task; loads at most three times, because each takes seconds. The first changes after a load pay for
    what the later ones find in memory: they do not count.
    """
    few = replace(plan, rounds=min(plan.rounds, _ROUNDS), warm_up=0)
    with TemporaryDirectory() as folder, PostgresServer(durable=True, settings=_SETTINGS) as server:
        places = Places(Path(folder), server)
        yield from _captures(places, plan)
        yield from _loads_to_postgres(places, few)
        yield _loads_to_sqlite(places, few)
        yield _loads_of_a_pair(places, few)
        yield _changes(places, plan)
        yield _idle(places, plan)
        yield _freshness(places, few)
        yield _loads_to_convex(places, few)


# The change log


def _captures(places: Places, plan: Plan) -> Iterator[Table]:
    with places.postgres() as (_, logged), places.postgres() as (_, plain):
        captured.forget_postgres(plain)
        yield _captures_of_one(logged, plain, plan)
        for title, insert, rows in (
            (_CAPTURE_MANY, captured.insert_many, plan.of(1_000)),
            (_CAPTURE_COPY, captured.copy_many, plan.of(20_000)),
        ):
            yield _with_and_without(title, insert, logged, plain, rows, plan)
    with places.sqlite() as (_, file), places.sqlite() as (_, other):
        captured.forget_sqlite(other)
        yield _with_and_without(_CAPTURE_SQLITE, captured.insert_into_sqlite, file, other, plan.of(1_000), plan)


def _captures_of_one(logged: PostgresDatabase, plain: PostgresDatabase, plan: Plan) -> Table:
    with psycopg.connect(logged.dsn, autocommit=True) as one, psycopg.connect(plain.dsn, autocommit=True) as other:
        cases = {_PLAIN: partial(captured.insert_one, other), _LOGGED: partial(captured.insert_one, one)}
        rows = partial(captured.rows, plan.of(200))
        return compare_by_turns(_CAPTURE_ONE, cases, rows, baseline=_PLAIN, plan=plan)


def _with_and_without(
    title: str, insert: Callable[[Place, int], float], logged: Place, plain: Place, rows: int, plan: Plan
) -> Table:
    cases: dict[str, Measure] = {_PLAIN: lambda: insert(plain, rows), _LOGGED: lambda: insert(logged, rows)}
    return compare(title, cases, baseline=_PLAIN, plan=plan)


# First loads


def _loads(
    title: str,
    source: DatabaseAdapter,
    target: Callable[[], AbstractContextManager[tuple[DatabaseAdapter, Any]]],
    rows: int,
    by_hand: Mapping[str, Callable[[Any], object]],
    plan: Plan,
    more: Mapping[str, Measure] | None = None,
) -> Table:
    """Compare a first load with copies.

    :param target: makes an empty target: its adapter, and what the copies need.
    :param by_hand: the copies, of which the first one is the baseline.
    """

    def copied(copy: Callable[[Any], object]) -> float:
        with target() as (_, place):
            return _timed(lambda: copy(place))

    cases: dict[str, Measure] = {name: lambda copy=copy: copied(copy) for name, copy in by_hand.items()}  # type: ignore[misc]
    cases[_SYNC] = lambda: _loaded(source, target, rows)
    return compare(title, {**cases, **(more or {})}, baseline=next(iter(by_hand)), plan=plan, note=_size(rows))


def _loaded(
    source: DatabaseAdapter,
    target: Callable[[], AbstractContextManager[tuple[DatabaseAdapter, Any]]],
    rows: int,
) -> float:
    """The time of a first load. :raises RuntimeError: if a row is missing."""
    with target() as (adapter, _):
        manager = SyncManager(source, adapter, sync_tables=[one_way.TABLE])
        seconds = _timed(lambda: _require(manager))
    if manager.get_sync_status()["tables"][one_way.TABLE]["copied_to_second"] != rows:
        raise RuntimeError("the sync has not copied every row")
    return seconds


def _loads_to_postgres(places: Places, plan: Plan) -> Iterator[Table]:
    rows, many = plan.of(ROWS), plan.of(MANY)
    with places.sqlite(rows) as (source, path), places.sqlite(many) as (large, file):
        by_hand: dict[str, Callable[[Any], object]] = {
            _COPY: lambda there: one_way.copy_to_postgres(path, there),
            "COPY and upsert": lambda there: one_way.upsert_to_postgres(path, there),
        }
        if find_spec("dlt"):
            by_hand[_DLT] = lambda there: one_way.dlt_to_postgres(path, there)
        more: dict[str, Measure] = {_LARGE: lambda: _loaded(large, places.postgres, many)}
        yield _loads(_TO_POSTGRES, source, places.postgres, rows, by_hand, plan, more)
        needed = {_SYNC: [_needed(places, path)] * plan.rounds, _LARGE: [_needed(places, file)] * plan.rounds}
        yield Table(_NEEDED, _SYNC, needed, megabytes, _size(rows))


def _needed(places: Places, path: Path) -> float:
    """The most memory that a process has while it loads a file, in bytes; measured once, because it hardly differs."""
    with places.postgres() as (_, database):
        return cost(("-m", loaded.__name__, str(path), json.dumps(asdict(database)))).memory


def _loads_to_sqlite(places: Places, plan: Plan) -> Table:
    rows = plan.of(ROWS)
    with places.postgres(rows) as (source, database):
        by_hand = {_INSERTS: lambda path: one_way.copy_to_sqlite(database, path)}
        return _loads(_TO_SQLITE, source, places.sqlite, rows, by_hand, plan)


def _loads_of_a_pair(places: Places, plan: Plan) -> Table:
    rows = plan.of(ROWS)
    with places.postgres(rows) as (source, database):
        by_hand = {_COPY: lambda other: one_way.copy_between(database, other)}
        return _loads(_PAIR, source, places.postgres, rows, by_hand, plan)


def _loads_to_convex(places: Places, plan: Plan) -> Table:
    rows = plan.of(CONVEX_ROWS)
    with places.sqlite(rows) as (source, _), laboratory_functions() as functions, ConvexDeployment(functions) as there:
        by_hand = {_BATCHES: lambda target: fill(target, rows)}
        return _loads(_TO_CONVEX, source, lambda: emptied(there), rows, by_hand, plan)


# Changes


def _changes(places: Places, plan: Plan) -> Table:
    changes = plan.of(CHANGES)
    sizes = {_FEW: plan.of(10_000), _SYNC: plan.of(MANY)}
    with ExitStack() as resources:
        cases: dict[str, Measure] = {}
        plan = replace(plan, warm_up=2 * plan.warm_up)
        for name, rows in sizes.items():
            source, path = resources.enter_context(places.sqlite(rows))
            target, _ = resources.enter_context(places.postgres())
            manager = _synced(source, target)
            cases[name] = lambda manager=manager, path=path: _changed(manager, path, changes)  # type: ignore[misc]
        # The last file is the large one.
        _, by_hand = resources.enter_context(places.postgres())
        one_way.copy_to_postgres(path, by_hand)
        cases[_BY_HAND] = lambda: one_way.follow(path, by_hand, changes)
        if find_spec("dlt"):
            _, of_dlt = resources.enter_context(places.postgres())
            pipeline = one_way.dlt_to_postgres(path, of_dlt)
            cases[_DLT] = lambda: one_way.dlt_follow(pipeline, path, changes)
        return compare(
            _FOLLOW, cases, baseline=_BY_HAND, plan=plan, note=f"{changes:,} changes; {_size(plan.of(MANY))}"
        )


def _idle(places: Places, plan: Plan) -> Table:
    with places.sqlite(plan.of(10_000)) as (source, _), places.postgres() as (target, _):
        manager = _synced(source, target)
        calls = plan.of(100)
        cases: dict[str, Measure] = {_SYNC: lambda: _timed(lambda: [manager.sync_all() for _ in range(calls)]) / calls}
        return compare(_IDLE, cases, baseline=_SYNC, plan=plan)


def _freshness(places: Places, plan: Plan) -> Table:
    number = plan.of(40)
    with places.sqlite(plan.of(10_000)) as (source, _), places.postgres() as (target, _):
        manager = _synced(source, target, sync_interval=INTERVAL)
        manager.start_sync(background=True)
        try:
            cases: dict[str, Measure] = {_SYNC: lambda: _slowest([_delay(source, target) for _ in range(number)])}
            return compare(_FRESH, cases, baseline=_SYNC, plan=plan, note=f"a cycle every {INTERVAL:g} s")
        finally:
            manager.stop_sync_thread()


def _delay(source: DatabaseAdapter, target: DatabaseAdapter) -> float:
    """The time from a commit, at any moment of the interval, until the other database has the record."""
    sleep(random() * INTERVAL)
    with as_application():
        row = source.run(Insert(one_way.TABLE, [{"name": "fresh"}])).rows[0]
        started = perf_counter()
        while target.get(one_way.TABLE, row["id"], ("id",)) is None:
            sleep(0.002)
    return perf_counter() - started


def _slowest(delays: list[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(delays, n=20, method="inclusive")[-1] if len(delays) > 1 else delays[0]


def _changed(manager: SyncManager, path: Path, changes: int) -> float:
    _require(manager)
    one_way.change(path, changes)
    return _timed(lambda: _require(manager))


def _synced(source: DatabaseAdapter, target: DatabaseAdapter, **options: Any) -> SyncManager:
    manager = SyncManager(source, target, sync_tables=[one_way.TABLE], **options)
    _require(manager)
    return manager


def _require(manager: SyncManager) -> None:
    if not manager.sync_all():
        raise RuntimeError(f"the sync is not complete: {manager.get_sync_status()}")


def _size(rows: int) -> str:
    return f"{rows:,} rows"


def _timed(run: Callable[[], object]) -> float:
    started = perf_counter()
    run()
    return perf_counter() - started
