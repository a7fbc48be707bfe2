"""Tables in memory, with the transactions and the queries of the real backends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from typing import ClassVar

from database.adapters.base import DatabaseAdapter
from database.adapters.memory.log import ChangeLog
from database.adapters.memory.log import LoggedTables
from database.adapters.session import Session
from database.changes.feed import ReadChanges
from database.core.capabilities import Capabilities
from database.core.clock import monotonic
from database.core.context import Context
from database.core.errors import PoolExhausted
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.resilience.deadline import remaining


class MemoryAdapter(DatabaseAdapter):
    """Keeps everything in this process, one writer at a time; gone when the process ends."""

    kind: ClassVar[str] = "memory"
    capabilities = Capabilities(sql="translated", changes=True, durable=False)

    def _build(self) -> None:
        super()._build()
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
        return _MemorySession(self._tables.copy(), self._end)

    def open(self, context: Context) -> None:
        """Nothing to do: memory is always there."""

    def close(self) -> None:
        """Keep the tables: closing a connection does not empty a database."""

    def abandon(self) -> None:
        """A forked child begins with empty tables of its own."""

    def describe(self) -> dict[str, Any]:
        return {"tables": sorted(table.name for table in self.schema)}

    def _end(self, tables: LoggedTables | None) -> None:
        if tables is not None:
            self._publish(tables)
        self._writing.release()

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
    """Works on a copy of the tables, which takes their place at commit."""

    def __init__(self, tables: LoggedTables, end: Callable[[LoggedTables | None], None]) -> None:
        self._tables = tables
        self._end = end
        self._points: dict[str, LoggedTables] = {}

    def execute(self, operation: Operation, context: Context) -> Result:
        return self._tables.execute(operation, context.deadline)

    def savepoint(self, name: str) -> None:
        self._points[name] = self._tables.copy()

    def release(self, name: str) -> None:
        del self._points[name]

    def rollback_to(self, name: str) -> None:
        self._tables = self._points[name].copy()

    def commit(self, context: Context) -> None:
        self._end(self._tables)

    def rollback(self) -> None:
        self._end(None)
