"""A SQLite file on the local disk: the embedded default."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path
from typing import Any
from typing import ClassVar

from database.adapters.base import DatabaseAdapter
from database.adapters.session import Session
from database.adapters.sql.operations import SqlOperations
from database.adapters.sqlite import changes
from database.adapters.sqlite.connection import SQLiteConnection
from database.adapters.sqlite.dialect import DIALECT
from database.adapters.translation.uses import SqlDialectName
from database.changes.feed import ReadChanges
from database.core.capabilities import Capabilities
from database.core.clock import monotonic
from database.core.context import Context
from database.core.errors import ConnectFailed
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import PoolExhausted
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result

_inherited: list[SQLiteConnection] = []
"""Connections that a fork left in the child. Closing one would drop locks that the parent holds."""


class SQLiteAdapter(DatabaseAdapter):
    """Config: ``path``, the database file, and ``synchronous``, ``full`` (default) or ``normal``.

    Every call has a connection of its own from a free list. Writers of this process queue for a lock before
    they ask SQLite for its own, which is several times faster than meeting in its busy handler.
    """

    kind: ClassVar[str] = "sqlite"
    capabilities = Capabilities(changes=True)
    config_keys = frozenset({"path", "synchronous"})
    sql_dialect: SqlDialectName = "sqlite"

    def _build(self) -> None:
        self._path = Path(self.config.get("path", "instance/isthmus.db"))
        self._synchronous = str(self.config.get("synchronous", "full"))
        if self._synchronous not in {"full", "normal"}:
            raise ValueError("synchronous is 'full' or 'normal'")
        self._free: deque[SQLiteConnection] = deque()
        self._writing = threading.Lock()
        self._operations = SqlOperations(self.schema, DIALECT)
        super()._build()

    def execute(self, operation: Operation, context: Context) -> Result:
        reading = reads_only(operation)
        connection = self._checkout()
        try:
            if reading:
                connection.limit(context)
                if type(operation) is ReadChanges:
                    return changes.read(connection, operation)
                return self._operations.execute(connection, operation)
            return self._write(connection, operation, context)
        finally:
            self._checkin(connection)

    def open_session(self, context: Context) -> Session:
        connection = self._checkout()
        try:
            self._acquire(context)
        except DataError:
            self._checkin(connection)
            raise
        session = _SQLiteSession(self, connection)
        try:
            session.begin(context)
        except DataError:
            session.rollback()
            raise
        return session

    def open(self, context: Context) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConnectFailed("the folder of the database file cannot be made") from error
        self._free.append(SQLiteConnection(self._path, self._synchronous, self.watchdog))

    def close(self) -> None:
        while self._free:
            self._free.pop().close()

    def abandon(self) -> None:
        _inherited.extend(self._free)

    def describe(self) -> dict[str, Any]:
        return {"path": str(self._path), "synchronous": self._synchronous}

    def _write(self, connection: SQLiteConnection, operation: Operation, context: Context) -> Result:
        self._acquire(context)
        try:
            connection.wait_for_lock(context)
            result = self._operations.execute(connection, operation)
            if connection.in_transaction:
                raise InvalidQuery("transactions are opened with transaction(), not with SQL text")
            return result
        finally:
            self._writing.release()

    def _acquire(self, context: Context) -> None:
        if self._writing.acquire(blocking=False):
            return
        seconds = min(max(0.0, context.deadline - monotonic()), threading.TIMEOUT_MAX)
        if not self._writing.acquire(timeout=seconds):
            # No sign of an ill database, so this must not open its circuit.
            raise PoolExhausted("another transaction of this process was writing until the deadline")

    def _checkout(self) -> SQLiteConnection:
        try:
            return self._free.pop()
        except IndexError:
            return SQLiteConnection(self._path, self._synchronous, self.watchdog)

    def _checkin(self, connection: SQLiteConnection) -> None:
        if connection.in_transaction:
            connection.undo()
        if self._opened:
            self._free.append(connection)
        else:
            connection.close()

    def _session_ended(self, connection: SQLiteConnection) -> None:
        self._writing.release()
        self._checkin(connection)


class _SQLiteSession(Session):
    """Holds the write lock from its beginning: transactions on one file run one after another."""

    def __init__(self, adapter: SQLiteAdapter, connection: SQLiteConnection) -> None:
        self._adapter = adapter
        self._connection = connection

    def begin(self, context: Context) -> None:
        self._connection.wait_for_lock(context)
        self._connection.control("begin immediate")

    def execute(self, operation: Operation, context: Context) -> Result:
        self._connection.limit(context)
        result = self._adapter._operations.execute(self._connection, operation)
        if not self._connection.in_transaction:
            raise InvalidQuery("a transaction is ended by commit() or rollback(), not with SQL text")
        return result

    def savepoint(self, name: str) -> None:
        self._connection.control(f"savepoint {name}")

    def release(self, name: str) -> None:
        self._connection.control(f"release {name}")

    def rollback_to(self, name: str) -> None:
        self._connection.control(f"rollback to {name}")

    def commit(self, context: Context) -> None:
        self._connection.limit(context)
        try:
            self._connection.control("commit")
        finally:
            self.rollback()

    def rollback(self) -> None:
        try:
            self._connection.undo()
        finally:
            self._adapter._session_ended(self._connection)
