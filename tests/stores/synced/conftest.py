"""Pairs of databases with the tables of all record stores, empty, and the record stores of each."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any
from typing import Final

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.convex import ConvexAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.core.context import as_application
from database.core.operations import Select
from database.declared import schema_in
from database.schema.migrations import runner
from database.sync import SyncManager
from storage import MemoryEntries
from storage import Store
from stores import DatabaseClient
from stores import Evaluations
from stores import EvaluationsInTables
from stores import Experiments
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.postgres import PostgresServer
from tests.stores.synced.laboratory import PACKAGE

SCHEMA: Final = schema_in(PACKAGE)
TABLES: Final = tuple(table.name for table in SCHEMA if not table.internal)
_TIMEOUT: Final = 20.0

Open = Callable[[pytest.FixtureRequest, Path, ExitStack], DatabaseAdapter]


class Side:
    """One database, with the record stores on it. Both sides have one store for what is large."""

    def __init__(self, adapter: DatabaseAdapter, blobs: Store | None) -> None:
        self.adapter = adapter
        self.agents = DatabaseClient(adapter)
        self.evaluations = Evaluations(EvaluationsInTables(adapter), blobs)
        self.experiments = Experiments.on_tables(adapter)

    def rows(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of all tables, by their keys."""
        return {name: self.adapter.run(Select(name)).rows for name in TABLES}


def sync(first: Side, second: Side, **options: Any) -> SyncManager:
    """Run a cycle that goes through, as a new process would."""
    manager = SyncManager(first.adapter, second.adapter, sync_tables=TABLES, **options)
    assert manager.sync_all(), manager.get_sync_status()
    return manager


def sqlite(_: pytest.FixtureRequest, folder: Path, closing: ExitStack) -> DatabaseAdapter:
    """A file with the tables."""
    adapter = SQLiteAdapter({"path": folder / "synced.db", "synchronous": "normal"}, SCHEMA)
    closing.callback(adapter.disconnect)
    runner.upgrade(adapter)
    return adapter


def postgresql(request: pytest.FixtureRequest, _: Path, closing: ExitStack) -> DatabaseAdapter:
    """A database with the tables."""
    server: PostgresServer = request.getfixturevalue("postgres_server")
    database = closing.enter_context(server.database())
    adapter = PostgresAdapter({**asdict(database), "timeout": _TIMEOUT}, SCHEMA)
    closing.callback(adapter.disconnect)
    runner.upgrade(adapter)
    return adapter


def _convex(_: pytest.FixtureRequest, folder: Path, closing: ExitStack) -> DatabaseAdapter:
    deployment = closing.enter_context(available(ConvexDeployment, functions_with(SCHEMA, folder)))
    adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key, "timeout": _TIMEOUT}, SCHEMA)
    closing.callback(adapter.disconnect)
    return adapter


_PAIRS: Final[dict[str, tuple[Open, Open]]] = {
    "SQLite and PostgreSQL": (sqlite, postgresql),
    "PostgreSQL and Convex": (postgresql, _convex),
}


@pytest.fixture(params=_PAIRS)
def sides(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Side, Side]]:
    blobs = Store(MemoryEntries())
    with ExitStack() as closing:
        first, second = (Side(made(request, tmp_path, closing), blobs) for made in _PAIRS[request.param])
        with as_application():
            yield first, second
