"""Record stores on PostgreSQL: a page of many evaluations, beside the bare statement."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from typing import Any
from typing import Final

import psycopg
import sqlalchemy as sa
from psycopg.rows import dict_row

from benchmarks.harness import compare_by_turns
from benchmarks.harness import on_one_core
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import PostgresAdapter
from database import Schema
from database.columns import table_metadata
from stores import Evaluations
from stores import EvaluationsInTables
from stores import declare_evaluations
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

_BY_HAND: Final = "by hand"
_EVALUATIONS: Final = 100_000
_PAGE: Final = 50
_STATUSES: Final = ("queued", "running", "completed", "failed")
_PAGES: Final = f"Evaluations: {_PAGE} of {_EVALUATIONS:,} by status"
_NOTE: Final = "PostgreSQL, over TCP, on one core, serializable"

_COLUMNS: Final = (
    *("id", "created_at", "updated_at", "version", "code_hash", "status", "started_at", "completed_at", "runtime_ms"),
    *("code_size", "code_s3_key", "output_size", "output_type", "output_s3_key"),
    *("error_size", "error_type", "error_s3_key", "metadata"),
)
_BY_STATUS: Final = "from evaluations where status = %s order by created_at desc, id desc limit %s"
_SELECT: Final = f"select {', '.join(_COLUMNS)} {_BY_STATUS}"
_FILL: Final = """
insert into evaluations (id, created_at, updated_at, version, code_hash, status, started_at, completed_at, runtime_ms,
    code, code_size, output_preview, output_size, output_type, metadata)
select 'eval-' || n, now() - n * interval '1 second', now(), 1, repeat('a', 64), (%s::text[])[1 + n %% 4], now(), now(),
    n, 'print(1)', 8, '1', 1, 'text/plain; charset=utf-8', '{"engine": "docker"}'
from generate_series(1, %s) n
"""

LINES: Final = (
    Line(f"{_PAGE} of {_EVALUATIONS:,} evaluations by status", _PAGES, "Isthmus", "psycopg 3, prepared, dicts", 1.2),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure pages."""
    with (
        on_one_core(),
        PostgresServer(durable=True) as server,
        server.database() as database,
        ExitStack() as resources,
    ):
        yield _pages(plan, database, resources)


def _pages(plan: Plan, database: PostgresDatabase, resources: ExitStack) -> Table:
    metadata = table_metadata()
    declare_evaluations(metadata)
    _fill(database, metadata, plan.of(_EVALUATIONS))
    functions: dict[str, Callable[[str], Sequence[Any]]] = {
        _BY_HAND: _by_hand(database, resources),
        "Isthmus": _isthmus(database, metadata, resources),
    }
    for status in _STATUSES:
        by_hand, ours = (one(status) for one in functions.values())
        assert [row["id"] for row in by_hand] == [one.id for one in ours]
        assert len(ours) == min(_PAGE, plan.of(_EVALUATIONS) // len(_STATUSES))
    statuses = list(_STATUSES) * plan.of(50)
    return compare_by_turns(_PAGES, functions, lambda: statuses, baseline=_BY_HAND, plan=plan, note=_NOTE)


def _fill(database: PostgresDatabase, metadata: sa.MetaData, number: int) -> None:
    database.create(metadata)
    with psycopg.connect(database.dsn, autocommit=True) as connection:
        connection.execute(_FILL, (list(_STATUSES), number))
        connection.execute("vacuum analyze evaluations")


def _by_hand(database: PostgresDatabase, resources: ExitStack) -> Callable[[str], Sequence[Any]]:
    connection = psycopg.connect(database.dsn, autocommit=True, row_factory=dict_row)
    resources.callback(connection.close)
    connection.execute("set default_transaction_isolation = 'serializable'")
    return lambda status: connection.execute(_SELECT.encode(), (status, _PAGE), prepare=True).fetchall()


def _isthmus(database: PostgresDatabase, metadata: sa.MetaData, resources: ExitStack) -> Callable[[str], Sequence[Any]]:
    adapter = PostgresAdapter(asdict(database), Schema.of(metadata))
    resources.callback(adapter.disconnect)
    evaluations = Evaluations(EvaluationsInTables(adapter))
    return lambda status: evaluations.page(status=status, limit=_PAGE).evaluations
