"""Records in sync: both sides have the same ones, and of two changes one stays as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.context import as_application
from database.core.operations import Get
from database.declared import schema_in
from database.schema.migrations import runner
from database.sync import SyncManager
from stores import Experiments
from stores.experiments.tables import TABLES
from tests.stores.experiments.laboratory import PACKAGE


@pytest.fixture
def sides(tmp_path: Path) -> Iterator[tuple[DatabaseAdapter, DatabaseAdapter]]:
    schema = schema_in(PACKAGE)
    file = SQLiteAdapter({"path": tmp_path / "synced.db", "synchronous": "normal"}, schema)
    runner.upgrade(file)
    with as_application():
        yield file, MemoryAdapter(schema=schema)
    file.disconnect()


def sync(sides: tuple[DatabaseAdapter, DatabaseAdapter]) -> None:
    manager = SyncManager(*sides, sync_tables=TABLES, conflict_resolution="merge")
    assert manager.sync_all(), manager.get_sync_status()


def test_both_sides_have_the_same_records(sides: tuple[DatabaseAdapter, DatabaseAdapter]) -> None:
    first, second = map(Experiments.on_tables, sides)
    first.save("episode:\0é", {"reward": 0.5, "bytes": b"\xff"})
    second.start_optimization_run("r", "search", "mab")
    sync(sides)
    assert second.load("episode:\0é") == {"reward": 0.5, "bytes": b"\xff"}
    first.complete_optimization_run("r", total_generations=5)
    second.delete("episode:\0é")
    sync(sides)
    assert second.load("run:r") == first.load("run:r")
    assert first.list_keys() == second.list_keys() == ["run:r"]


def test_of_two_changes_one_stays_as_a_whole(sides: tuple[DatabaseAdapter, DatabaseAdapter]) -> None:
    first, second = map(Experiments.on_tables, sides)
    first.save("run:r", {"status": "started", "system_name": "a", "algorithm_name": "a"})
    sync(sides)
    first.save("run:r", {"status": "completed", "system_name": "a", "algorithm_name": "a"})
    second.save("run:r", {"status": "started", "system_name": "b", "algorithm_name": "a"})
    sync(sides)
    record = first.load("run:r")
    assert record == second.load("run:r")
    for side in sides:
        row = side.run(Get("optimization_runs", "r")).first
        assert row is not None
        assert {name: row[name] for name in record} == record
