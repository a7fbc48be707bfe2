"""Pairs of databases for the tests of sync."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from flask import Flask

from api.operations import auto_migration
from app import create_app
from config.settings import load_settings
from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.backends.memory.adapter import MemoryBackend
from database.backends.memory.log import ChangeLog
from database.backends.memory.log import LoggedTables
from database.core.context import Context
from database.core.context import as_application
from database.core.operations import Insert
from database.core.result import Row
from database.sync import SyncManager
from database.unit_of_work import apart

TABLES = ("molecules", "protocols", "experiments")
"""The declared ones, parents first."""


class Killed(BaseException):
    """The process has ended here."""


class MortalMemoryBackend(MemoryBackend):
    """Tables in memory, in a process that may be killed before any of its writes.

    :ivar writes: how many transactions have changed anything.
    :ivar life: how many more will; None for any number.
    :ivar interruption: happens once, before the next transaction begins to write.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.writes = 0
        self.life: int | None = None
        self.interruption: Callable[[], object] | None = None

    def _acquire(self, context: Context) -> None:
        interruption, self.interruption = self.interruption, None
        if interruption is not None:
            # It is somebody else, and no part of the transaction.
            with apart():
                interruption()
        super()._acquire(context)

    def _publish(self, tables: LoggedTables) -> None:
        if self.life == 0:
            raise Killed
        if self.life is not None:
            self.life -= 1
        self.writes += 1
        super()._publish(tables)


class MortalMemory(MemoryAdapter):
    """An adapter on that backend."""

    backend_class = MortalMemoryBackend
    backend: MortalMemoryBackend


class ForgetfulMemoryBackend(MemoryBackend):
    """Tables in memory whose feed keeps three changes."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._log = ChangeLog(3)


class ForgetfulMemory(MemoryAdapter):
    """An adapter on that backend."""

    backend_class = ForgetfulMemoryBackend
    backend: ForgetfulMemoryBackend


def insert(adapter: DatabaseAdapter, record_id: str, table: str = "molecules", **values: Any) -> Row:
    """A new record, named after its id unless it is given a name."""
    with as_application():
        (row,) = adapter.run(Insert(table, [{"id": record_id, "name": record_id, **values}]))
    return row


def contents(adapter: DatabaseAdapter) -> dict[str, list[Row]]:
    """All rows of the tables that are kept equal."""
    with as_application():
        return {table: adapter.table(table).select().execute().rows for table in TABLES}


def journal(*adapters: DatabaseAdapter) -> list[Row]:
    """The resolved conflicts, with their rows."""
    return [
        entry | {name: _row(entry[name]) for name in ("base", "first_row", "second_row", "result")}
        for adapter in adapters
        for entry in adapter.table("isthmus_sync_conflicts").select().execute()
    ]


def lost_rows(*adapters: DatabaseAdapter) -> Iterator[Row]:
    """All rows of both sides in the journal."""
    for entry in journal(*adapters):
        yield from (row for row in (entry["first_row"], entry["second_row"]) if row is not None)


def assert_in_sync(manager: SyncManager, first: DatabaseAdapter, second: DatabaseAdapter) -> None:
    """A cycle goes through, and both sides hold the same."""
    assert manager.sync_all(), manager.get_sync_status()
    assert contents(first) == contents(second)


def _row(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)


def application(folder: Path, order: str, **options: str) -> Flask:
    """The application with these databases, up to date."""
    settings = load_settings(
        None,
        ENVIRONMENT="testing",
        DB_ADAPTER_ORDER=order,
        LOCAL_DB_PATH=folder / "local.db",
        INSTANCE_PATH=folder,
        **{
            "CONVEX_SYNC_TABLES": "molecules,experiments",
            "CONVEX_CONFLICT_RESOLUTION": "supabase_wins",
            **options,
        },
    )
    app = create_app(settings)
    auto_migration.start(app)
    return app
