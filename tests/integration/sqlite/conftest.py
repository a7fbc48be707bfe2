"""The contract's tables in a SQLite file, and processes that share it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from database.backends.sqlite import SQLiteAdapter
from tests.contract.tables import SCHEMA
from tests.contract.tables import create_tables

ROOT = Path(__file__).parents[3]

Make = Callable[..., SQLiteAdapter]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database file with the contract's tables."""
    path = tmp_path / "data.db"
    create_tables(f"sqlite:///{path}")
    return path


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    """Makes adapters of the file; they are disconnected at the end of the test."""
    with ExitStack() as stack:

        def adapter(**config: Any) -> SQLiteAdapter:
            made = SQLiteAdapter({"path": str(path), "retry_count": 0, **config}, SCHEMA)
            stack.callback(made.disconnect)
            return made

        yield adapter


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Starts processes that run a task of ``writers`` on the file, with pipes to talk to them."""
    with ExitStack() as stack:

        def process(task: str, *arguments: str) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "tests.integration.sqlite.writers", task, str(path), *arguments]
            started = subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.enter_context(started)
            stack.callback(started.kill)
            return started

        yield process
