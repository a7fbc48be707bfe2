"""SQLite: rows with a decimal, a date and a UUID, compared with the same rows as text."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from datetime import date
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from benchmarks.harness import compare
from benchmarks.harness import compare_by_turns
from benchmarks.harness import per_item
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from database import Insert
from database import Schema
from database import Select
from database import SQLiteAdapter
from database.columns import text
from database.core.tables.schema import new_id

_TEXT = "as text"
_TYPED = "Isthmus"
_PAGE = 100
_POINT, _ROWS, _INSERT = "point read", f"{_PAGE} rows", "insert and commit"
_LABEL = "SQLite: a row with a Decimal, a date and a Uuid"
_TARGET = 1.3

_Row = dict[str, Any]

_metadata = sa.MetaData()
_TABLES = {
    _TYPED: sa.Table(
        "typed",
        _metadata,
        sa.Column("id", text(), primary_key=True),
        sa.Column("price", sa.Numeric(10, 2), nullable=False),
        sa.Column("day", sa.Date, nullable=False),
        sa.Column("token", sa.Uuid(as_uuid=False), nullable=False),
    ),
    _TEXT: sa.Table(
        "texts",
        _metadata,
        sa.Column("id", text(), primary_key=True),
        sa.Column("price", text(), nullable=False),
        sa.Column("day", text(), nullable=False),
        sa.Column("token", text(), nullable=False),
    ),
}

LINES = tuple(
    Line(f"{_LABEL}, {task}", f"{_LABEL}: {task}", _TYPED, _TEXT, _TARGET) for task in (_POINT, _ROWS, _INSERT)
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure a point read, a page and an insert."""
    with TemporaryDirectory(prefix="isthmus-bench-") as folder:
        url = Path(folder, "types.db")
        engine = sa.create_engine(f"sqlite:///{url}")
        _metadata.create_all(engine)
        engine.dispose()
        adapter = SQLiteAdapter({"path": str(url), "synchronous": "normal"}, Schema.of(_metadata))
        try:
            yield from _measured(adapter, plan)
        finally:
            adapter.disconnect()


def _measured(adapter: SQLiteAdapter, plan: Plan) -> Iterator[Table]:
    keys = [f"{number:04}" for number in range(1_000)]
    for case, table in _TABLES.items():
        adapter.run(Insert(table.name, [_row(case, key) for key in keys]))
    reads = {case: _reads(adapter, table.name, keys[: plan.of(500)]) for case, table in _TABLES.items()}
    yield compare(f"{_LABEL}: {_POINT}", reads, baseline=_TEXT, plan=plan)
    pages = {case: _pages(adapter, table.name, plan.of(50)) for case, table in _TABLES.items()}
    yield compare(f"{_LABEL}: {_ROWS}", pages, baseline=_TEXT, plan=plan)
    writes = {case: _insert(adapter, case, table.name) for case, table in _TABLES.items()}
    # By turns, because a checkpoint of the write-ahead log comes when it comes.
    yield compare_by_turns(f"{_LABEL}: {_INSERT}", writes, lambda: _new_rows(plan.of(200)), baseline=_TEXT, plan=plan)


def _reads(adapter: SQLiteAdapter, table: str, keys: list[str]) -> Any:
    return per_item(lambda key: adapter.get(table, key), lambda: keys)


def _pages(adapter: SQLiteAdapter, table: str, number: int) -> Any:
    return per_item(lambda _: adapter.run(Select(table, limit=_PAGE)), lambda: range(number))


def _insert(adapter: SQLiteAdapter, case: str, table: str) -> Callable[[dict[str, _Row]], object]:
    return lambda rows: adapter.run(Insert(table, [rows[case]], returning=False))


def _new_rows(number: int) -> list[dict[str, _Row]]:
    """New rows, each by case."""
    keys = [new_id() for _ in range(number)]
    return [{case: _row(case, key) for case in _TABLES} for key in keys]


def _row(case: str, key: str) -> _Row:
    number = hash(key) % 10_000
    values = (Decimal(number).scaleb(-2), date(2024, 1, 1) + timedelta(number % 365), UUID(int=number))
    price, day, token = (values[0], values[1], str(values[2])) if case == _TYPED else map(str, values)
    return {"id": key, "price": price, "day": day, "token": token}
