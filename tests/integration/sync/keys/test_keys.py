"""Sync of records with keys of any name, of text, UUIDs and integers, of one column and of several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import ConfigurationError
from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.result import Row
from database.core.tables.keys import key_of
from database.core.tables.schema import Schema
from database.sync import SyncManager
from tests.integration.sync.keys import databases
from tests.integration.sync.keys.databases import SCHEMA

ROWS: dict[str, list[Row]] = {
    "elements": [{"symbol": "Fe"}, {"symbol": "He,~/"}, {"symbol": "O"}],
    "devices": [{"device_id": f"0189{n:04}-0000-7000-8000-00000000000a", "made_of": "Fe"} for n in range(3)],
    "lots": [{"number": 9}, {"number": -(2**63)}, {"number": 10, "inside": 9}],
    "grades": [{"course": "a,b", "attempt": 1}, {"course": "", "attempt": 2}, {"course": "~", "attempt": 10}],
}
TABLES = tuple(ROWS)


PAIRS = {
    "memory-sqlite": (databases.memory, databases.sqlite),
    "sqlite-convex": (databases.sqlite, databases.convex),
    "postgres-sqlite": (databases.postgres, databases.sqlite),
}


@pytest.fixture(params=PAIRS)
def sides(request: pytest.FixtureRequest) -> Iterator[tuple[DatabaseAdapter, DatabaseAdapter]]:
    """Two databases that are kept equal."""
    with databases.two_of(PAIRS[request.param], request) as made:
        yield made


def _contents(adapter: DatabaseAdapter) -> dict[str, list[Row]]:
    return {table: adapter.run(Select(table)).rows for table in TABLES}


def _place(table: str, row: Row) -> Any:
    return key_of(SCHEMA.table(table), row)


def test_records_go_both_ways(sides: tuple[DatabaseAdapter, DatabaseAdapter]) -> None:
    first, second = sides
    for table, rows in ROWS.items():
        first.run(Insert(table, [{**row, "name": "one", "data": {"a": [1]}} for row in rows]))
    manager = SyncManager(first, second, sync_tables=TABLES)
    assert manager.sync_all(), manager.get_sync_status()
    assert _contents(second) == _contents(first)
    assert [len(rows) for rows in _contents(second).values()] == [3, 3, 3, 3]
    for table, rows in ROWS.items():
        first.run(Update(table, {"name": "two"}, _place(table, rows[1])))
        second.run(Update(table, {"name": "three"}, _place(table, rows[2])))
        if table != "elements":
            second.run(Delete(table, _place(table, rows[0]) if table != "lots" else 10))
    assert manager.sync_all(), manager.get_sync_status()
    assert _contents(second) == _contents(first)
    assert [len(rows) for rows in _contents(first).values()] == [3, 2, 2, 2]
    assert manager.get_sync_status()["failures"] == []


def test_a_conflict_is_told_by_the_address_of_the_record(sides: tuple[DatabaseAdapter, DatabaseAdapter]) -> None:
    first, second = sides
    first.run(Insert("grades", [{"course": "a,b", "attempt": 1, "name": "first"}]))
    second.run(Insert("grades", [{"course": "a,b", "attempt": 1, "name": "second"}]))
    told: list[Any] = []

    def merged(table: str, record_id: str, one: Row | None, other: Row | None) -> Row:
        told.append((table, record_id))
        return {"name": "both"}

    manager = SyncManager(first, second, sync_tables=TABLES, conflict_resolution=merged)
    assert manager.sync_all(), manager.get_sync_status()
    assert told == [("grades", "a~2b,1")]
    assert _contents(first)["grades"] == [{"attempt": 1, "name": "both", "course": "a,b", "data": None}]
    assert _contents(second) == _contents(first)
    second.run(Update("grades", {"name": "new"}, "a~2b,1"))
    assert manager.force_sync_record("grades", "a~2b,1")
    assert _contents(first)["grades"][0]["name"] == "new"


def test_tables_whose_keys_differ_are_refused() -> None:
    other = sa.MetaData()
    sa.Table("elements", other, sa.Column("symbol", sa.Text), sa.Column("name", sa.Text, primary_key=True))
    second = MemoryAdapter({}, Schema.of(other, internal_tables.metadata), name="second")
    with pytest.raises(ConfigurationError, match=r"elements .*symbol.*name"):
        SyncManager(MemoryAdapter({}, SCHEMA, name="first"), second, sync_tables=["elements"])
