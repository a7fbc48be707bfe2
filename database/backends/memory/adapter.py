"""The in-memory adapter, with the transactions and queries of the real backends."""

from __future__ import annotations

import logging
import threading
from typing import Any
from typing import ClassVar

from database.adapter.backend import Backend
from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.adapter.transactions import Session
from database.backends.memory.constraints import unkept
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

logger = logging.getLogger(__name__)


class MemoryBackend(Backend):
    """Keeps all rows in this process, which are lost when it exits; allows one writer at a time."""

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
        """Log which declared constraints are not kept; there is nothing to connect to."""
        if lines := unkept(self.schema):
            logger.warning("memory does not keep these constraints, which SQL databases keep: %s", "; ".join(lines))

    def close(self) -> None:
        """Keep the tables: closing a connection does not delete rows."""

    def abandon(self) -> None:
        """Nothing to do: a forked child gets a new backend with empty tables."""

    def describe(self) -> dict[str, Any]:
        return {"tables": sorted(table.name for table in self.schema)}

    def _publish(self, tables: LoggedTables) -> None:
        # In this order, so that a follower that reads a change from the log also finds it in the tables.
        self._tables = tables
        self._log.append(tables.take_changes())

    def _acquire(self, context: Context) -> None:
        seconds = remaining(context, monotonic)
        if not self._writing.acquire(timeout=min(seconds, threading.TIMEOUT_MAX)):
            # PoolExhausted, because lock contention must not open the circuit breaker.
            raise PoolExhausted("another transaction of this process held the write lock until the deadline")


class _MemorySession(Session):
    """Works on a copy of the tables, which replaces them at commit.

    :param writes: whether the caller has acquired the write lock for it; otherwise the session acquires it and makes
        its copy at its first change.
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
        # Before the first change these are the backend's own tables, which are replaced and never mutated.
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
            raise SerializationFailure(
                "another transaction has committed since this one began to read; run this transaction again"
            )
        self._tables = self._tables.copy()


class MemoryAdapter(DatabaseAdapter):
    """In-memory tables, lost when the process exits; one writer at a time. Config: the keys common to all adapters."""

    backend_class: ClassVar[type[MemoryBackend]] = MemoryBackend
    backend: MemoryBackend
