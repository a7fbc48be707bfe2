"""What subscriptions need, in a process of their own: the memory of a large one, and the threads of many.

``SUBSCRIPTION_ROWS=1000000 SUBSCRIPTIONS=2000`` are the full size, at which the memory of the process and the time
until a change is told are limited, too. ``-s`` prints what was measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from typing import Final

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.schema.migrations.runner import upgrade

ROWS: Final = int(os.environ.get("SUBSCRIPTION_ROWS", "20000"))
MANY: Final = int(os.environ.get("SUBSCRIPTIONS", "200"))
IS_FULL: Final = "SUBSCRIPTION_ROWS" in os.environ
ROOT: Final = Path(__file__).parents[3]

_PORTION = 100_000
_COLUMNS = "insert into molecules (id, created_at, updated_at, version, name, formula)"
_NOW = "'2026-01-01T00:00:00.000000Z'"
FILL = {
    "sqlite": f"with recursive n(i) as (select {{start}} union all select i + 1 from n where i < {{end}} - 1)"
    f" {_COLUMNS}"
    f" select printf('%08x-0000-7000-8000-%012x', i, i), {_NOW}, {_NOW}, 1, 'm' || i, 'f' || i from n",
    "postgresql": f"{_COLUMNS} select gen_random_uuid()::text, {_NOW}, {_NOW}, 1, 'm' || i, 'f' || i"
    " from generate_series({start}, {end} - 1) i",
}


@pytest.fixture(params=["sqlite", "postgres"])
def adapter(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseAdapter]:
    """The database, with its tables."""
    if request.param == "sqlite":
        made: DatabaseAdapter = SQLiteAdapter({"path": str(tmp_path / "many.db"), "synchronous": "normal"})
    else:
        made = PostgresAdapter(asdict(request.getfixturevalue("postgres_database")))
    upgrade(made)
    yield made
    made.disconnect()


def fill(adapter: DatabaseAdapter, rows: int) -> None:
    for start in range(0, rows, _PORTION):
        adapter.execute_query(FILL[adapter.kind].format(start=start, end=min(start + _PORTION, rows)))


class Process:
    """The process with subscriptions."""

    def __init__(self, running: subprocess.Popen[str]) -> None:
        self._running = running

    def line(self) -> dict[str, Any]:
        """What it says next."""
        assert self._running.stdout is not None
        text = self._running.stdout.readline()
        assert text, "the process has ended"
        sys.stdout.write(text)
        found: dict[str, Any] = json.loads(text)
        return found

    def end(self) -> None:
        """Tell it to end."""
        assert self._running.stdin is not None
        self._running.stdin.write("\n")
        self._running.stdin.flush()


@contextmanager
def subscribing(adapter: DatabaseAdapter, small: int) -> Iterator[Process]:
    command = [sys.executable, "-m", "tests.integration.subscriptions.process", json.dumps(adapter.config), str(small)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        try:
            yield Process(running)
            assert running.wait(60) == 0
        finally:
            running.kill()


def change(adapter: DatabaseAdapter, number: int) -> float:
    """Change a record. :returns: when it was committed."""
    adapter.table("molecules").update({"name": "new"}, returning=False).eq("formula", f"f{number}").execute()
    return time.time()


def test_a_large_result_needs_little_memory_and_its_changes_are_told(adapter: DatabaseAdapter) -> None:
    fill(adapter, ROWS)
    with subscribing(adapter, 0) as process:
        process.line()
        watching = process.line()
        assert process.line()["held"] == watching["held"] < 40 * ROWS
        committed = change(adapter, ROWS // 2)
        told = process.line()
        assert (told["told"], told["of"]) == ("UPDATE", "all")
        process.end()
        after, ended = process.line(), process.line()
        assert (ended["active"], after["held"]) == (0, watching["held"])
    if IS_FULL:
        sys.stdout.write(f"told {told['at'] - committed:.3f} s after the commit\n")
        assert after["most_megabytes"] <= 120
        assert told["at"] - committed <= 1


def test_many_subscriptions_need_few_threads(adapter: DatabaseAdapter) -> None:
    fill(adapter, MANY)
    with subscribing(adapter, MANY) as process:
        process.line()
        process.line()
        assert process.line()["threads"] <= 20
        committed = change(adapter, 7)
        told = [process.line() for _ in range(3)]
        assert sorted((one["told"], one["of"]) for one in told) == [
            ("UPDATE", "all"),
            ("UPDATE", "one"),
            ("result", "one"),
        ]
        process.end()
        assert process.line()["threads"] <= 20
        assert process.line()["active"] == 0
    if IS_FULL:
        late = max(one["at"] for one in told) - committed
        sys.stdout.write(f"all are told {late:.3f} s after the commit\n")
        assert late <= 1
