"""A database whose tables of evaluations are made when they are first used, if they are missing.

That costs nothing while they are there: they are made when the database says that it lacks one, and then the operation
is repeated. Only in a transaction that would be too late, so before its first operation the database is asked, once.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from contextlib import suppress
from threading import Lock
from typing import Final

from config.settings import Settings
from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.adapter.interface import Database
from database.adapter.transactions import BoundAdapter
from database.adapter.transactions import Transaction
from database.connection_manager import ConnectionManager
from database.core.context import active_unit
from database.core.errors import DataError
from database.core.errors import PermissionDenied
from database.core.errors import SchemaMismatch
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Operation
from database.core.result import Result
from database.core.tables.schema import Schema
from database.schema.creating import create_tables
from database.schema.migrations.presence import missing_tables
from database.schema.migrations.presence import reason_to_wait
from database.schema.sqlalchemy_engine import bare
from database.schema.sqlalchemy_engine import has_engine
from database.unit_of_work import UnitOfWork
from storage.backends.table import TABLE
from stores.evaluations.tables import TABLES

_NEEDED: Final = (*TABLES, TABLE)


class MadeTables(Database):
    """A database that gets the tables of evaluations, and that of stores, with their first use.

    If the application has migrations, these make them, as ``DB_AUTO_MIGRATE`` says; otherwise the missing ones are
    created. No table that is there is changed. Convex and Supabase's HTTP interface cannot make tables.

    :param database: the application's connection manager, or one adapter.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._create_runtime_state()
        rebuild_after_fork(self, MadeTables._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Create the lock anew in a forked child, in which nobody makes tables."""
        self._lock = Lock()
        self._made = False

    @property
    def adapter(self) -> BoundAdapter:
        return self.database.adapter

    @property
    def adapters(self) -> Mapping[str, Database]:
        """The adapters of a connection manager, or the one adapter."""
        found: Mapping[str, Database] = getattr(self.database, "adapters", {"": self.database})
        return found

    @property
    def schema(self) -> Schema:
        """The tables that the database is known to have. A manager knows them also while it has no adapter."""
        found: Schema = getattr(self.database, "schema", None) or self.database.adapter.schema
        return found

    def run(self, operation: Operation) -> Result:
        if active_unit.get() is None:
            return self.run_alone(operation)
        self._prepare()
        return self.database.run(operation)

    def run_alone(self, operation: Operation) -> Result:
        made = self._made
        try:
            return self.database.run_alone(operation)
        except SchemaMismatch as error:
            if made or not _is_free() or not self._make(error):
                raise
        return self.database.run_alone(operation)

    def begin_transaction(self, *, reads: bool = False) -> Transaction:
        self._prepare()
        return self.database.begin_transaction(reads=reads)

    def _prepare(self) -> None:
        """Make the tables before a transaction begins."""
        if self._made or not _is_free():
            return
        # What keeps the database from answering, or making them, is told by the transaction.
        with suppress(DataError):
            lacking = missing_tables(self._primary())
            if lacking and not set(lacking).isdisjoint(_NEEDED):
                self._make(None)
            self._made = True

    def _make(self, error: SchemaMismatch | None) -> bool:
        """Make the tables; returns whether an operation that failed with the error may be repeated."""
        adapter = self._primary()
        if not has_engine(adapter) or (error is not None and error.backend not in {None, self.database.adapter.name}):
            return False
        with self._lock:
            # Another thread may have made them while this one waited.
            if not self._made:
                try:
                    _make(adapter, self._settings)
                except PermissionDenied as denied:
                    raise error or denied from denied
                self._made = True
        return True

    def _primary(self) -> DatabaseAdapter:
        adapter = self.database.adapter
        assert isinstance(adapter, DatabaseAdapter)
        return bare(adapter)

    def _settings(self) -> Settings:
        return self.database.settings if isinstance(self.database, ConnectionManager) else load_settings()


def _make(adapter: DatabaseAdapter, settings: Callable[[], Settings]) -> None:
    from database.schema.migrations.history import history  # noqa: PLC0415  # Alembic is loaded where it is needed
    from database.schema.migrations.runner import upgrade  # noqa: PLC0415

    if history(adapter.schema.migrations).application:
        if reason_to_wait(adapter, settings()) is None:
            upgrade(adapter)
        return
    create_tables(adapter, [adapter.schema.table(name).source for name in _NEEDED if name in adapter.schema])


def _is_free() -> bool:
    """Whether no transaction has begun here, for which the tables would be made too late, or which would be in the way
    of their maker.
    """
    unit = active_unit.get()
    return unit is None or (isinstance(unit, UnitOfWork) and not unit.begun)
