"""Document 001, "Storage System" of Crucible: all of its code runs, and does what the text around it says."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
import unittest
from collections.abc import Callable
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa

from database.connection_manager import ConnectionManager
from database.declared import DEFAULT_PACKAGE
from storage import FileEntries
from storage import Store
from storage.base import StorageService
from stores import EvaluationStorage
from stores import FlexibleStorageManager
from stores.evaluations.meaning.statuses import STATUSES
from stores.evaluations.tables import declare_evaluations
from tests.documents.blocks import Block
from tests.documents.blocks import blocks

DOCUMENT = Path(__file__).with_name("001.txt")
PYTHON = {block.section.split(" / ")[-1]: block for block in blocks(DOCUMENT, "python")}
IMPORTS = {
    "from storage import FlexibleStorageManager, DatabaseStorage, FileStorage": (
        "from storage import FlexibleStorageManager, DatabaseStorage, FileStorage, InMemoryStorage"
    ),
    "from storage.base import StorageService": "import redis; from typing import Any, Dict; from storage.base import"
    " StorageService",
}
"""All that is changed of the code."""

_covered: set[str] = set()


def block(section: str) -> Block:
    """That section's code, with the replacements."""
    found = PYTHON[section]
    return found.with_replaced({text: other for text, other in IMPORTS.items() if text in found.code})


def runs(section: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Say which section's code a test runs."""
    _covered.add(section)
    return lambda test: test


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Iterator[ConnectionManager]:
    """The sample application, which has no database yet."""
    monkeypatch.setenv("APPLICATION_PACKAGE", DEFAULT_PACKAGE)
    manager = ConnectionManager.get_instance()
    yield manager
    manager.disconnect()


def test_every_block_is_run() -> None:
    assert _covered == PYTHON.keys()


@runs("Basic Usage")
def test_an_evaluation_is_created_updated_and_retrieved(application: ConnectionManager, tmp_path: Path) -> None:
    found = block("Basic Usage").run()
    evaluation = found["evaluation"]
    assert (evaluation["status"], evaluation["output"], evaluation["code"]) == ("completed", "Hello", "print('Hello')")
    (row,) = application.execute_query("select status, output_preview from evaluations where id = 'eval-123'")
    assert row == {"status": "completed", "output_preview": "Hello"}
    storage = found["storage"]
    # The strategy for large data: as files, and their beginning in the database.
    storage.update_evaluation("eval-123", error="é" * 600_000)
    large = storage.get_evaluation("eval-123")
    assert (large["error"], large["error_size"]) == ("é" * 512, 1_200_000)
    assert Store(FileEntries(tmp_path / "data")).count(large["error_s3_key"]) == 1


@runs("Configuration by Environment")
def test_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVIRONMENT", "testing")
    storage = block("Configuration by Environment").run()["storage"]
    assert isinstance(storage, FlexibleStorageManager)
    assert storage.create_evaluation("a", "1")


@runs("Adding New Storage Backends")
def test_a_backend_implements_the_interface() -> None:
    made = block("Adding New Storage Backends").run()["RedisStorage"]
    assert issubclass(made, StorageService)
    # "... implement other required methods"
    required = made.__abstractmethods__
    assert required == set(StorageService.__abstractmethods__) - {"store_evaluation"}
    whole = type("Whole", (made,), {name: getattr(EvaluationStorage, name) for name in required})
    assert whole("redis://127.0.0.1:1/0").client is not None


def test_the_documented_command_runs_the_common_tests(tmp_path: Path) -> None:
    command = "python storage/run_tests.py"
    assert command in DOCUMENT.read_text()
    root = DOCUMENT.parents[2]
    done = subprocess.run([sys.executable, *command.split()[1:]], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Ran 27 tests" in done.stderr


@pytest.mark.parametrize("backend", ["database", "file", "memory"])
def test_the_documented_command_runs_the_tests_of_one_backend(backend: str) -> None:
    module = f"storage.backends.{backend}.tests"
    assert f"python -m unittest {module}\n" in DOCUMENT.read_text()
    found = unittest.defaultTestLoader.loadTestsFromName(module)
    assert found.countTestCases() == 9
    # With the command above, all of them were run.
    (name,) = {str(type(test).__name__) for suite in found for test in cast("unittest.TestSuite", suite)}
    assert getattr(import_module("storage.run_tests"), name).__module__ == module


def test_the_tables_have_the_documented_columns() -> None:
    metadata = sa.MetaData()
    declare_evaluations(metadata)
    text = DOCUMENT.read_text()
    for table in ("evaluations", "evaluation_events", "evaluation_metrics"):
        section = re.search(rf"### {table}\n(.*?)\n(?:#|$)", text, re.S)
        assert section is not None
        documented = {name for line in section[1].splitlines() for name in re.findall(r"`(\w+)`", line)}
        assert documented <= {column.name for column in metadata.tables[table].columns}
        assert documented


def test_the_documented_statuses_and_methods_are_there() -> None:
    assert {"queued", "running", "completed", "failed"} <= set(STATUSES)
    methods = {name for name, _ in inspect.getmembers(FlexibleStorageManager, inspect.isfunction)}
    assert {"create_evaluation", "update_evaluation", "get_evaluation"} <= methods
