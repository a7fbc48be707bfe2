"""Pairs of databases with the declared tables, empty, each with a manager that has not begun."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from database.schema.migrations import runner
from database.sync import SyncManager
from tests.contract.backends import supabase_database
from tests.servers.convex_deployment import ConvexDeployment

Make = Callable[[pytest.FixtureRequest], DatabaseAdapter]


@dataclass(frozen=True, slots=True)
class Two:
    """Two databases."""

    first: DatabaseAdapter
    second: DatabaseAdapter

    def manager(self, **options: object) -> SyncManager:
        """A manager as a new process would have it."""
        return SyncManager(self.first, self.second, **options)  # type: ignore[arg-type]

    def sync(self, **options: object) -> SyncManager:
        """Run a cycle that goes through, in a new process."""
        manager = self.manager(**options)
        assert manager.sync_all(), manager.get_sync_status()
        return manager


def _memory(_: pytest.FixtureRequest) -> DatabaseAdapter:
    return MemoryAdapter()


def _sqlite(request: pytest.FixtureRequest) -> DatabaseAdapter:
    folder: Path = request.getfixturevalue("tmp_path")
    adapter = SQLiteAdapter({"path": folder / "synced.db", "synchronous": "normal"})
    runner.upgrade(adapter)
    return adapter


def _supabase(request: pytest.FixtureRequest) -> DatabaseAdapter:
    there = supabase_database(request.getfixturevalue("postgres_server"))
    names = ("host", "port", "user", "password", "database")
    adapter = SupabaseDirectAdapter({name: getattr(there, name) for name in names})
    runner.upgrade(adapter)
    return adapter


def _convex(request: pytest.FixtureRequest) -> DatabaseAdapter:
    deployment: ConvexDeployment = request.getfixturevalue("convex_deployment")
    deployment.reset()
    request.addfinalizer(deployment.reset)
    return ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key})


PAIRS: dict[str, tuple[Make, Make]] = {
    "memory-memory": (_memory, _memory),
    "sqlite-convex": (_sqlite, _convex),
    "supabase-convex": (_supabase, _convex),
}
MORE_PAIRS = {"sqlite-supabase": (_sqlite, _supabase)}
"""For tests that name them."""


@pytest.fixture(params=PAIRS)
def two(request: pytest.FixtureRequest) -> Iterator[Two]:
    """Two databases of each of the kinds that are kept equal."""
    with ExitStack() as connections:
        made = [make(request) for make in {**PAIRS, **MORE_PAIRS}[request.param]]
        for adapter in made:
            connections.callback(adapter.disconnect)
        yield Two(*made)
