"""Record stores on PostgreSQL: states of agents and a page of many evaluations, beside statements by hand."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final

import orjson
import psycopg
import sqlalchemy as sa
from psycopg.rows import dict_row

from benchmarks.contenders.stores import VALUE
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
from stores import PostgreSQLClient
from stores import declare_evaluations
from tests.servers.postgres import PostgresDatabase
from tests.servers.postgres import PostgresServer

_BY_HAND: Final = "by hand"
_EVALUATIONS: Final = 100_000
_PAGE: Final = 50
_STATUSES: Final = ("queued", "running", "completed", "failed")
_PAGES: Final = f"Evaluations: {_PAGE} of {_EVALUATIONS:,} by status"
_SAVED: Final = "Agents: save_state"
_GOT: Final = "Agents: get_state"
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

_SAVE: Final = """
insert into agent_states (id, agent_id, state_id, state, timestamp) values (%s, %s, %s, %s::jsonb, %s)
on conflict (agent_id, state_id) do update set state = excluded.state, timestamp = excluded.timestamp
"""
_GET: Final = "select state from agent_states where agent_id = %s and state_id = %s"
_AGENT: Final = "agent"

LINES: Final = (
    Line(f"{_SAVED} of 1 KiB", _SAVED, "Isthmus", "psycopg 3, prepared", 1.15),
    Line(f"{_GOT} of 1 KiB", _GOT, "Isthmus", "psycopg 3, prepared", 1.15),
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
        yield from _states(plan, database, resources)
        yield _pages(plan, database, resources)


def _states(plan: Plan, database: PostgresDatabase, resources: ExitStack) -> Iterator[Table]:
    client = PostgreSQLClient(database.dsn)
    resources.callback(client.close)
    connection = _connection(database, resources)
    states = [f"state-{number}" for number in range(plan.of(200))]

    def save(state_id: str) -> None:
        values = (f"{_AGENT}_{state_id}", _AGENT, state_id, orjson.dumps(VALUE).decode(), datetime.now(UTC))
        connection.execute(_SAVE.encode(), values, prepare=True)

    def get(state_id: str) -> Any:
        found: Any = connection.execute(_GET.encode(), (_AGENT, state_id), prepare=True).fetchone()
        return found["state"]

    saving: dict[str, Callable[[str], object]] = {
        _BY_HAND: save,
        "Isthmus": lambda state_id: client.save_state("ours", state_id, VALUE),
    }
    getting: dict[str, Callable[[str], object]] = {
        _BY_HAND: get,
        "Isthmus": lambda state_id: client.get_state("ours", state_id),
    }
    for title, functions in ((_SAVED, saving), (_GOT, getting)):
        yield compare_by_turns(title, functions, lambda: states, baseline=_BY_HAND, plan=plan, note=_NOTE)
    assert all(one(states[0]) == VALUE for one in getting.values())


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
    connection = _connection(database, resources)
    return lambda status: connection.execute(_SELECT.encode(), (status, _PAGE), prepare=True).fetchall()


def _connection(database: PostgresDatabase, resources: ExitStack) -> psycopg.Connection[Any]:
    """A connection as those of Isthmus."""
    connection = psycopg.connect(database.dsn, autocommit=True, row_factory=dict_row)
    resources.callback(connection.close)
    connection.execute("set default_transaction_isolation = 'serializable'")
    return connection


def _isthmus(database: PostgresDatabase, metadata: sa.MetaData, resources: ExitStack) -> Callable[[str], Sequence[Any]]:
    adapter = PostgresAdapter(asdict(database), Schema.of(metadata))
    resources.callback(adapter.disconnect)
    evaluations = Evaluations(EvaluationsInTables(adapter))
    return lambda status: evaluations.page(status=status, limit=_PAGE).evaluations
