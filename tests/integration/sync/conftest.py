"""Pairs of databases with the declared tables, empty, each with a manager that has not begun."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask import Flask

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.memory import MemoryAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from database.extension import Isthmus
from database.sync import SyncManager
from tests.integration.migrated import migrated_sqlite
from tests.integration.migrated import migrated_supabase
from tests.integration.sync.support import application
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
    migrated_sqlite(folder / "synced.db")
    return SQLiteAdapter({"path": folder / "synced.db", "synchronous": "normal"})


def _supabase(request: pytest.FixtureRequest) -> DatabaseAdapter:
    return SupabaseDirectAdapter(asdict(migrated_supabase(request.getfixturevalue("postgres_server"))))


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


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Flask]:
    """The application on an SQLite file and memory, whose tables are made with its first request."""
    app = application(tmp_path, "local,memory")
    assert app.test_client().get("/api/molecules").status_code == 200
    yield app
    Isthmus.of(app).manager.disconnect()
    ConnectionManager.set_instance(None)
