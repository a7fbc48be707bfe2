"""The adapter for a SQLite file on the local disk: the embedded default."""

from __future__ import annotations

import math
import threading
from collections import deque
from pathlib import Path
from typing import Any
from typing import ClassVar

from database.adapter.backend import Backend
from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.adapter.transactions import Session
from database.backends.sqlite import changes
from database.backends.sqlite.connection import SQLiteConnection
from database.backends.sqlite.dialect import DIALECT
from database.backends.sqlite.known_triggers import SchemaNotKnown
from database.backends.sqlite.scaled import scaled_columns
from database.changes.feed import ReadChanges
from database.core.capabilities import Capabilities
from database.core.clock import monotonic
from database.core.context import Context
from database.core.errors import ConnectFailed
from database.core.errors import PoolExhausted
from database.core.errors import Unavailable
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import reads_only
from database.core.query.sql_text import SqlDialectName
from database.core.result import Result
from database.sql.operations import SqlOperations
from database.sql.texts.refusals import begun_by_text
from database.sql.texts.refusals import ended_by_text

_TRUST_SECONDS = 0.01
"""Seconds for which a read relies on the last check that the file is in place; its rows were valid at that check."""

_inherited: list[SQLiteConnection] = []
"""Inherited connections, kept open in a forked child: closing one would release the parent's locks."""


class SQLiteBackend(Backend):
    """Takes a connection from a free list for every call.

    The writers of this process wait for a lock of the process before they take SQLite's lock: that is several times
    faster than its busy handler. If the file is deleted or replaced while it is open, later writes would be lost.
    This is detected before the next result, and every call is refused until the adapter reconnects.
    """

    kind: ClassVar[str] = "sqlite"
    capabilities = Capabilities(changes=True)
    config_keys = frozenset({"path", "synchronous"})
    sql_dialect: SqlDialectName = "sqlite"
    has_engine: ClassVar[bool] = True

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._path = Path(self.config.get("path", "instance/isthmus.db"))
        self._synchronous = str(self.config.get("synchronous", "full"))
        if self._synchronous not in {"full", "normal"}:
            raise ValueError(f"the configuration key synchronous must be 'full' or 'normal', not {self._synchronous!r}")
        self._free: deque[SQLiteConnection] = deque()
        self._seen_at = -math.inf
        self._gone = False
        self._writing = threading.Lock()
        self._is_open = False
        self._operations = SqlOperations(self.schema, DIALECT)
        self._scaled = scaled_columns(self.schema)

    def prepared(self, operation: Insert) -> Insert:
        return self._operations.prepared(operation)

    def execute(self, operation: Operation, context: Context) -> Result:
        if type(operation) is Get and not operation.lock:
            return self._get(operation, context)
        if type(operation) is Ping:
            return self._ping(context)
        reading = reads_only(operation)
        # Who reads the feed all the time would else take turns with who reads a table, and both their connections
        # would keep the pages of the table.
        following = type(operation) is ReadChanges
        connection = self._checkout(trusting=reading, least_used=following)
        try:
            if reading:
                connection.limit(context)
                if type(operation) is ReadChanges:
                    return changes.read(connection, operation)
                return self._operations.execute(connection, operation)
            return self._write(connection, operation, context)
        finally:
            self._checkin(connection, least_used=following)

    def _get(self, operation: Get, context: Context) -> Result:
        """A look-up, with less around it: most calls are one, and it can leave no transaction open."""
        connection = self._checkout(trusting=True)
        try:
            connection.limit(context)
            return self._operations.get(connection, operation)
        finally:
            self._put_back(connection)

    def open_session(self, context: Context) -> Session:
        # The commit checks that the file is in place before it reports success.
        connection = self._checkout(trusting=True)
        try:
            self._acquire(context)
        except BaseException:
            self._checkin(connection)
            raise
        return self._begin(connection, "begin immediate", context, writes=True)

    def open_reading_session(self, context: Context) -> Session:
        return self._begin(self._checkout(), "begin", context, writes=False)

    def open(self, context: Context) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._path.exists():
                # The file holds password hashes and the rows of all users. SQLite copies its mode to -wal and -shm.
                self._path.touch(mode=0o600)
        except OSError as error:
            raise ConnectFailed(f"cannot create the database file {self._path}; check path and permissions") from error
        self._free.append(SQLiteConnection(self._path, self._synchronous, self.watchdog, self._scaled))
        self._is_open = True

    def close(self) -> None:
        self._is_open = self._gone = False
        while self._free:
            self._free.pop().close()

    def abandon(self) -> None:
        _inherited.extend(self._free)

    def describe(self) -> dict[str, Any]:
        return {"path": str(self._path), "synchronous": self._synchronous}

    def _ping(self, context: Context) -> Result:
        self._checkin(self._checkout())
        # A new connection has to read the file; the others may only read their cached pages.
        connection = self._connect()
        try:
            connection.limit(context)
            connection.rows("select count(*) from sqlite_schema", ())
        finally:
            connection.close()
        return Result()

    def _write(self, connection: SQLiteConnection, operation: Operation, context: Context) -> Result:
        known = connection.known_triggers
        self._acquire(context)
        try:
            connection.limit(context)
            known.relies = known.is_current = False
            try:
                result = self._operations.execute(connection, operation)
            except SchemaNotKnown:
                with connection.atomic():
                    result = self._operations.execute(connection, operation)
            if connection.in_transaction:
                raise begun_by_text()
            return result
        finally:
            self._writing.release()

    def _acquire(self, context: Context) -> None:
        if self._writing.acquire(blocking=False):
            return
        seconds = min(max(0.0, context.deadline - monotonic()), threading.TIMEOUT_MAX)
        if not self._writing.acquire(timeout=seconds):
            # This is not a failure of the database, so it must not count for the circuit breaker.
            raise PoolExhausted("another transaction of this process held the write lock until the deadline")

    def _checkout(self, *, trusting: bool = False, least_used: bool = False) -> SQLiteConnection:
        try:
            connection = self._free.popleft() if least_used else self._free.pop()
        except IndexError:
            connection = self._connect()
        if not trusting or monotonic() - self._seen_at > _TRUST_SECONDS:
            try:
                self._require_in_place(connection)
            except Unavailable:
                connection.close()
                raise
        return connection

    def _connect(self) -> SQLiteConnection:
        # Connecting to a missing file would create an empty one.
        if self._gone or not self._path.exists():
            raise self._mark_lost()
        return SQLiteConnection(self._path, self._synchronous, self.watchdog, self._scaled)

    def _require_in_place(self, connection: SQLiteConnection) -> None:
        if self._gone or connection.has_moved():
            raise self._mark_lost()
        self._seen_at = monotonic()

    def _mark_lost(self) -> Unavailable:
        self._gone = True
        return Unavailable(
            f"the database file {self._path} was deleted or replaced while it was open; stop the application, restore"
            " the correct file without the -wal and -shm files of another one, and start the application again"
        )

    def _checkin(self, connection: SQLiteConnection, *, least_used: bool = False) -> None:
        if connection.in_transaction:
            connection.undo()
            if connection.in_transaction:
                # If the rollback fails, closing the connection rolls back.
                connection.close()
                return
        self._put_back(connection, least_used=least_used)

    def _put_back(self, connection: SQLiteConnection, *, least_used: bool = False) -> None:
        if not self._is_open:
            connection.close()
        elif least_used:
            self._free.appendleft(connection)
        else:
            self._free.append(connection)

    def _begin(self, connection: SQLiteConnection, beginning: str, context: Context, *, writes: bool) -> Session:
        try:
            connection.limit(context)
            connection.control(beginning)
        except BaseException:
            self._release_session(connection, wrote=writes)
            raise
        return _SQLiteSession(self, connection, writes=writes)

    def _release_session(self, connection: SQLiteConnection, *, wrote: bool) -> None:
        if wrote:
            self._writing.release()
        self._checkin(connection)


class _SQLiteSession(Session):
    """A transaction on a connection. Writers hold the write lock, so that they run one after another.

    :param writes: whether it writes from the beginning; the backend then already holds the process's lock. Otherwise
        it reads from one snapshot, and its first change is refused if another transaction has written since.
    """

    __slots__ = ("_backend", "_connection", "_writes")

    def __init__(self, backend: SQLiteBackend, connection: SQLiteConnection, *, writes: bool) -> None:
        self._backend = backend
        self._connection = connection
        self._writes = writes

    def execute(self, operation: Operation, context: Context) -> Result:
        if not self._writes and not reads_only(operation):
            self._begin_to_write(context)
        self._connection.limit(context)
        operations = self._backend._operations
        try:
            result = operations.execute(self._connection, operation)
        except SchemaNotKnown:
            result = operations.execute(self._connection, operation)
        except BaseException:
            self._connection.known_triggers.relies = False
            raise
        if not self._connection.in_transaction:
            raise ended_by_text()
        return result

    def savepoint(self, name: str) -> None:
        self._connection.control(f"savepoint {name}")

    def release(self, name: str) -> None:
        self._connection.control(f"release {name}")

    def rollback_to(self, name: str) -> None:
        if not self._connection.in_transaction:
            # SQLite does this if a write is interrupted, or if it cannot write to the file.
            raise Unavailable(
                "SQLite has rolled back the whole transaction, not only to the savepoint; begin a new one"
            )
        self._connection.control(f"rollback to {name}")

    def commit(self, context: Context) -> None:
        try:
            self._connection.limit(context)
            self._backend._require_in_place(self._connection)
            self._connection.control("commit")
        except BaseException:
            self.rollback()
            raise
        self._backend._release_session(self._connection, wrote=self._writes)

    def rollback(self) -> None:
        try:
            self._connection.undo()
        finally:
            self._backend._release_session(self._connection, wrote=self._writes)

    def _begin_to_write(self, context: Context) -> None:
        self._backend._acquire(context)
        self._writes = True
        self._connection.lock_snapshot(context)


class SQLiteAdapter(DatabaseAdapter):
    """Config: ``path``, the database file; ``synchronous``, ``full`` (default) or ``normal``; and the keys of all
    adapters.
    """

    backend_class = SQLiteBackend
    backend: SQLiteBackend
