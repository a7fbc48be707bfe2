"""Sync of records with keys of any name, of text, UUIDs and integers, of one column and of several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from config.settings import ConfigurationError
from database import internal_tables
from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.result import Row
from database.core.tables.keys import key_of
from database.core.tables.schema import Schema
from database.sync import SyncManager
from tests.contract.tables import create_tables
from tests.contract.tables import metadata
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with

SCHEMA = Schema.of(metadata, internal_tables.metadata)
ROWS: dict[str, list[Row]] = {
    "elements": [{"symbol": "Fe"}, {"symbol": "He,~/"}, {"symbol": "O"}],
    "devices": [{"device_id": f"0189{n:04}-0000-7000-8000-00000000000a", "made_of": "Fe"} for n in range(3)],
    "lots": [{"number": 9}, {"number": -(2**63)}, {"number": 10, "inside": 9}],
    "grades": [{"course": "a,b", "attempt": 1}, {"course": "", "attempt": 2}, {"course": "~", "attempt": 10}],
}
TABLES = tuple(ROWS)


def _memory(_: pytest.FixtureRequest, __: ExitStack) -> DatabaseAdapter:
    return MemoryAdapter({}, SCHEMA)


def _sqlite(request: pytest.FixtureRequest, _: ExitStack) -> DatabaseAdapter:
    folder: Path = request.getfixturevalue("tmp_path")
    url = f"sqlite:///{folder / 'keys.db'}"
    create_tables(url)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    internal_tables.metadata.create_all(engine)
    engine.dispose()
    return SQLiteAdapter({"path": str(folder / "keys.db")}, SCHEMA)


def _postgres(request: pytest.FixtureRequest, _: ExitStack) -> DatabaseAdapter:
    database = request.getfixturevalue("postgres_server").create_database()
    create_tables(database.sqlalchemy_url)
    database.create(internal_tables.metadata)
    return PostgresAdapter(asdict(database), SCHEMA)


def _convex(request: pytest.FixtureRequest, closing: ExitStack) -> DatabaseAdapter:
    deployment = available(ConvexDeployment, functions_with(SCHEMA, request.getfixturevalue("tmp_path")))
    closing.enter_context(deployment)
    return ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key}, SCHEMA)


PAIRS = {
    "memory-sqlite": (_memory, _sqlite),
    "sqlite-convex": (_sqlite, _convex),
    "postgres-sqlite": (_postgres, _sqlite),
}


@pytest.fixture(params=PAIRS)
def sides(request: pytest.FixtureRequest) -> Iterator[tuple[DatabaseAdapter, DatabaseAdapter]]:
    """Two databases that are kept equal."""
    with ExitStack() as closing:
        first, second = (make(request, closing) for make in PAIRS[request.param])
        first.name, second.name = "first", "second"
        for adapter in (first, second):
            closing.callback(adapter.disconnect)
        yield first, second


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


def test_numbers_that_both_sides_make_are_refused() -> None:
    first, second = (MemoryAdapter({}, SCHEMA, name=name) for name in ("first", "second"))
    with pytest.raises(ConfigurationError, match=r"orders .*order_no.* leave the table out of sync_tables"):
        SyncManager(first, second, sync_tables=["orders"])
