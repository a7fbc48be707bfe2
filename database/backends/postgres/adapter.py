"""PostgreSQL through psycopg 3 and its pool."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from typing import ClassVar

from database.adapter.backend import Backend
from database.adapter.backend import Setup
from database.adapter.base import DatabaseAdapter
from database.adapter.transactions import Session
from database.backends.postgres import changes
from database.backends.postgres.call import PostgresCall
from database.backends.postgres.call import one_snapshot
from database.backends.postgres.dialect import DIALECT
from database.backends.postgres.errors import OnStandby
from database.backends.postgres.pool import PostgresPool
from database.changes.feed import ReadChanges
from database.core.capabilities import Capabilities
from database.core.clock import monotonic
from database.core.context import SERVICE
from database.core.context import Context
from database.core.errors import BackendError
from database.core.errors import SerializationFailure
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.resilience.repetition import repeated
from database.sql.operations import SqlOperations
from database.sql.texts.refusals import begun_by_text
from database.sql.texts.refusals import ended_by_text

_inherited: list[PostgresPool] = []
"""Pools inherited by a forked child; kept referenced, so that no finalizer closes the parent's connections."""

Handler = Callable[[PostgresCall, Any], Result]
"""Executes an operation on a connection."""

_ISOLATION = {"read committed", "repeatable read", "serializable"}


class PostgresBackend(Backend):
    """A call outside a transaction runs in its own transaction and is retried after a serialization failure."""

    kind: ClassVar[str] = "postgresql"
    capabilities = Capabilities(changes=True)
    has_engine: ClassVar[bool] = True
    config_keys = frozenset(
        {
            "host",
            "port",
            "user",
            "password",
            "database",
            "sslmode",
            "min_connections",
            "max_connections",
            "pool_timeout",
            "pooler",
            "isolation",
        }
    )
    copies = True
    settings_prefix: ClassVar[str] = "LOCAL_DB"
    """Prefix of the names of the backend's settings, for error messages."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._operations = SqlOperations(self.schema, DIALECT)
        self._prepare = not self.config.get("pooler")
        self.isolation = str(self.config.get("isolation", "serializable"))
        if self.isolation not in _ISOLATION:
            raise ValueError(f"'isolation' must be one of: {', '.join(sorted(_ISOLATION))}")
        self._pool = PostgresPool(self.config, self.settings.timeout, self.settings_prefix)

    def prepared(self, operation: Insert) -> Insert:
        return self._operations.prepared(operation)

    def execute(self, operation: Operation, context: Context) -> Result:
        if type(operation) is ReadChanges:
            return self._read_changes(operation, context)
        try:
            return self._carry_out(self._operations.execute, operation, context)
        except SerializationFailure:
            return repeated(
                lambda: self._carry_out(self._operations.execute, operation, context),
                deadline=context.deadline,
                times_out=True,
            )
        except OnStandby:
            return self._carry_out(self._operations.execute, operation, context, "repeatable read")

    def _read_changes(self, operation: ReadChanges, context: Context) -> Result:
        """Read the log with the application's rights, whoever the caller is.

        Not serializable, because a serializable reader of the whole log would make concurrent writers fail; the log
        orders the commits.
        """
        call = self._call_on(self._pool.acquire(context), context, writes=False)
        try:
            return changes.read(call, operation, _begin("read committed", self.prologue(context.acting_as(SERVICE))))
        finally:
            self._release(call)

    def _carry_out(self, handler: Handler, operation: Any, context: Context, isolation: str | None = None) -> Result:
        """Execute an operation as its caller.

        :param isolation: overrides the adapter's isolation level.
        """
        writes = not reads_only(operation)
        connection = self._pool.acquire(context)
        call = self._call_on(connection, context, writes=writes)
        try:
            prologue = self.prologue(context)
            # Behind a pooler each transaction sets the level, because session settings would leak to other clients.
            if prologue or isolation or not self._prepare:
                level = isolation or (self.isolation if writes else one_snapshot(self.isolation))
                return self._execute_between(call, handler, operation, _begin(level, prologue))
            result = handler(call, operation)
            if call.in_transaction:
                raise begun_by_text()
            return result
        finally:
            self._release(call)

    def open_session(self, context: Context) -> Session:
        connection = self._pool.acquire(context)
        call = self._call_on(connection, context, writes=True)
        session = _PostgresSession(self, call)
        try:
            session.begin(context)
        except BaseException:
            session.rollback()
            raise
        return session

    def open(self, context: Context) -> None:
        self._pool.open()

    def close(self) -> None:
        self._pool.close()
        self._pool = PostgresPool(self.config, self.settings.timeout, self.settings_prefix)

    def abandon(self) -> None:
        _inherited.append(self._pool)

    def describe(self) -> dict[str, Any]:
        return {
            "host": self.config.get("host"),
            "port": self.config.get("port", 5432),
            "database": self.config.get("database", "postgres"),
            "user": self.config.get("user"),
            "pool_min_size": self.config.get("min_connections", 1),
            "pool_max_size": self.config.get("max_connections", 10),
            "connection_problem": self._pool.problem(),
            **self._pool.counts(),
        }

    def prologue(self, context: Context) -> str:
        """SQL that makes a transaction run as the caller; empty if the server does not distinguish callers."""
        return ""

    def _execute_between(self, call: PostgresCall, handler: Handler, operation: Any, beginning: str) -> Result:
        call.control(beginning)
        try:
            result = handler(call, operation)
        except BaseException:
            call.undo()
            raise
        if not reads_only(operation):
            call.commit()
            return result
        # The rows are complete, even if ending the read-only transaction fails.
        with suppress(BackendError):
            call.control("commit")
        return result

    def _call_on(self, connection: Any, context: Context, *, writes: bool) -> PostgresCall:
        return PostgresCall(
            connection,
            self.watchdog,
            context.deadline,
            writes=writes,
            prepare=self._prepare,
            copies=self.copies,
            isolation=self.isolation,
        )

    def _release(self, call: PostgresCall) -> None:
        call.end()
        # To the pool that the connection came from: self._pool may have been closed and replaced meanwhile.
        call.connection.give_back(call.connection)


def _begin(isolation: str, *settings: str) -> str:
    """SQL that begins a transaction and applies its settings, for one round trip."""
    return "; ".join(filter(None, (f"begin isolation level {isolation}", *settings)))


class _PostgresSession(Session):
    """A transaction on a connection of its own; each operation runs as its own caller.

    If the first operation fails with a serialization failure, the session restarts the transaction and retries, because
    the caller has seen no result yet. A transaction whose first operation locks rows therefore waits for the lock and
    then sees what the other transaction has committed.
    """

    def __init__(self, backend: PostgresBackend, call: PostgresCall) -> None:
        self._backend = backend
        self._call = call
        self._prologue = ""
        self._isolation = backend.isolation
        self._nothing_told = True

    def begin(self, context: Context) -> None:
        try:
            self._begin(context)
        except OnStandby:
            self._call.undo()
            self._isolation = "repeatable read"
            self._begin(context)

    def _begin(self, context: Context) -> None:
        self._prologue = self._backend.prologue(context)
        limit = ""
        if context.deadline != math.inf:
            milliseconds = max(1, int((context.deadline - monotonic()) * 1000))
            limit = f"set local statement_timeout = {milliseconds}"
        self._call.control(_begin(self._isolation, limit, self._prologue))

    def execute(self, operation: Operation, context: Context) -> Result:
        if self._nothing_told:
            self._nothing_told = False
            return repeated(lambda: self._first(operation, context), deadline=context.deadline)
        return self._carry_out(operation, context)

    def _first(self, operation: Operation, context: Context) -> Result:
        try:
            return self._carry_out(operation, context)
        except SerializationFailure:
            self._call.undo()
            self.begin(context)
            raise

    def _carry_out(self, operation: Operation, context: Context) -> Result:
        self._call.deadline = context.deadline
        prologue = self._backend.prologue(context)
        if prologue and prologue != self._prologue:
            self._call.control(prologue)
            self._prologue = prologue
        result = self._backend._operations.execute(self._call, operation)
        if self._call.is_idle:
            raise ended_by_text()
        return result

    def savepoint(self, name: str) -> None:
        self._nothing_told = False
        self._call.control(f"savepoint {name}")

    def release(self, name: str) -> None:
        self._call.control(f"release savepoint {name}")

    def rollback_to(self, name: str) -> None:
        self._call.control(f"rollback to savepoint {name}")
        # The rollback also undoes the role and claims set since the savepoint.
        self._prologue = "unknown"

    def commit(self, context: Context) -> None:
        self._call.deadline = context.deadline
        try:
            self._call.commit()
        finally:
            self.rollback()

    def rollback(self) -> None:
        self._backend._release(self._call)


class PostgresAdapter(DatabaseAdapter):
    """Config: ``host``, ``port`` (5432), ``user``, ``password``, ``database`` (postgres), ``sslmode`` (prefer),
    ``min_connections`` (1), ``max_connections`` (10), ``pool_timeout`` (seconds to wait for a free connection, 5),
    ``pooler`` (True behind a transaction pooler), ``isolation`` (serializable; ``repeatable read`` permits write skew;
    ``read committed`` also permits lost updates).
    """

    backend_class: ClassVar[type[PostgresBackend]] = PostgresBackend
    backend: PostgresBackend
