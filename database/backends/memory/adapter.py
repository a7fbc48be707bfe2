"""Tables in memory, with the transactions and the queries of the real backends."""

from __future__ import annotations

import threading
from typing import Any
from typing import ClassVar

from database.adapter.backend import Backend
from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.adapter.transactions import Session
from database.backends.memory.log import ChangeLog
from database.backends.memory.log import LoggedTables
from database.changes.feed import ReadChanges
from database.core.capabilities import Capabilities
from database.core.clock import monotonic
from database.core.context import Context
from database.core.errors import PoolExhausted
from database.core.errors import SerializationFailure
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.resilience.deadline import remaining


class MemoryBackend(Backend):
    """Keeps everything in this process, one writer at a time; gone when the process ends."""

    kind: ClassVar[str] = "memory"
    capabilities = Capabilities(sql="translated", changes=True, durable=False)

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._tables = LoggedTables(self.schema)
        self._log = ChangeLog()
        self._writing = threading.Lock()

    def execute(self, operation: Operation, context: Context) -> Result:
        if isinstance(operation, ReadChanges):
            return Result(value=self._log.page(operation.cursor, operation.limit))
        if reads_only(operation):
            return self._tables.execute(operation, context.deadline)
        self._acquire(context)
        try:
            changed = self._tables.copy()
            result = changed.execute(operation, context.deadline)
            self._publish(changed)
            return result
        finally:
            self._writing.release()

    def open_session(self, context: Context) -> Session:
        self._acquire(context)
        return _MemorySession(self, writes=True)

    def open_reading_session(self, context: Context) -> Session:
        return _MemorySession(self, writes=False)

    def open(self, context: Context) -> None:
        """Nothing to do: memory is always there."""

    def close(self) -> None:
        """Keep the tables: closing a connection does not empty a database."""

    def abandon(self) -> None:
        """A forked child begins with empty tables of its own."""

    def describe(self) -> dict[str, Any]:
        return {"tables": sorted(table.name for table in self.schema)}

    def _publish(self, tables: LoggedTables) -> None:
        # In this order: who has read of a change finds it in the tables.
        self._tables = tables
        self._log.append(tables.take_changes())

    def _acquire(self, context: Context) -> None:
        seconds = remaining(context, monotonic)
        if not self._writing.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            # No sign of an ill database, so this must not open its circuit.
            raise PoolExhausted("another transaction of this process was writing until the deadline")


class _MemorySession(Session):
    """Works on a copy of the tables, which takes their place at commit.

    :param writes: from its beginning, where it has the lock already; otherwise it takes lock and copy with its first
        change.
    """

    def __init__(self, backend: MemoryBackend, *, writes: bool) -> None:
        self._backend = backend
        self._writes = writes
        self._seen = backend._tables
        self._tables = self._seen.copy() if writes else self._seen
        self._points: dict[str, LoggedTables] = {}

    def execute(self, operation: Operation, context: Context) -> Result:
        if not self._writes and not reads_only(operation):
            self._begin_to_write(context)
        return self._tables.execute(operation, context.deadline)

    def savepoint(self, name: str) -> None:
        # Before its first change these are the backend's own tables, which are never changed but replaced.
        self._points[name] = self._tables.copy() if self._writes else self._tables

    def release(self, name: str) -> None:
        del self._points[name]

    def rollback_to(self, name: str) -> None:
        if self._writes:
            self._tables = self._points[name].copy()

    def commit(self, context: Context) -> None:
        try:
            if self._writes:
                self._backend._publish(self._tables)
        finally:
            self.rollback()

    def rollback(self) -> None:
        if self._writes:
            self._backend._writing.release()

    def _begin_to_write(self, context: Context) -> None:
        self._backend._acquire(context)
        self._writes = True
        if self._backend._tables is not self._seen:
            raise SerializationFailure("another transaction has written since this one began to read")
        self._tables = self._tables.copy()


class MemoryAdapter(DatabaseAdapter):
    """Tables in this process, one writer at a time; gone when it ends. Config: the keys of every adapter."""

    backend_class: ClassVar[type[MemoryBackend]] = MemoryBackend
    backend: MemoryBackend
