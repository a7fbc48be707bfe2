"""``docs/stores/evaluations.md``: all of its code runs, and does what the text around it says."""

from __future__ import annotations

import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.settings import load_settings
from database import columns
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from storage.backends.memory import MemoryEntries
from storage.core.store import Store
from tests.documents.blocks import blocks
from tests.stores.evaluations.places import SCHEMA
from tests.stores.evaluations.places import create_sqlite

BLOCKS = blocks(Path(__file__).parents[3] / "docs" / "stores" / "evaluations.md", "python")
CORE, TABLES, DECLARED, RETENTION, MANAGER, SERVICE = BLOCKS


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionManager]:
    """The databases of an application with the tables of evaluations."""
    monkeypatch.chdir(tmp_path)
    create_sqlite(tmp_path / "app.db")
    adapter = SQLiteAdapter({"path": str(tmp_path / "app.db")}, SCHEMA)
    made = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"local": adapter}, SCHEMA)
    ConnectionManager.set_instance(made)
    yield made
    ConnectionManager.set_instance(None)
    made.disconnect()


def test_evaluations_and_their_retention(manager: ConnectionManager) -> None:
    code = CORE.with_replaced({"from database import current_database\n": ""})
    evaluations: Any = code.run(current_database=lambda: manager)["evaluations"]
    found = evaluations.get("eval-123")
    assert (found.status, found.output, found.metadata) == ("completed", "Hello\n", {"suite": "nightly", "worker": 7})
    RETENTION.run(evaluations=evaluations, cold=Store(MemoryEntries()))
    assert evaluations.count() == 1


def test_the_declarations() -> None:
    metadata = TABLES.run()["metadata"]
    assert set(metadata.tables) == {"evaluations", "evaluation_events", "evaluation_metrics"}
    assert columns.table_metadata().naming_convention == metadata.naming_convention
    grants = DECLARED.run()["RECORD_STORES"]["evaluations"].grants("evaluations")
    assert str(grants["write"]) == "role runner"


def test_the_storage_manager(manager: ConnectionManager, tmp_path: Path) -> None:
    made = MANAGER.run()["manager"]
    assert made.get_evaluation("eval-124")["output"] == "Hello"
    assert manager.execute_query("select id from evaluations") == [{"id": "eval-124"}]


def test_a_place_of_ones_own() -> None:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(SERVICE.run()["DictStorageTests"]).run(result)
    assert (result.testsRun, result.errors, result.failures) == (9, [], [])
