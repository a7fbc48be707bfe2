"""One connection of the pool, with a deadline on everything it does."""

from __future__ import annotations

import logging
import math
import os
import re
import select
import socket
import threading
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from queue import SimpleQueue
from typing import Any
from typing import Self
from typing import TypeVar

import psycopg
from psycopg import sql
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq import TransactionStatus

from database.backends.postgres.cursor import TextCursor
from database.backends.postgres.dialect import Forgiving
from database.backends.postgres.dialect import unread_column
from database.backends.postgres.errors import translated
from database.backends.postgres.pipelining import execute_many
from database.backends.postgres.sqlstates import lost
from database.core.clock import monotonic
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.errors import UnreadableRecord
from database.core.lifecycle import in_background
from database.core.tables.schema import TableSchema
from database.resilience.watchdog import Watchdog
from database.sql.table import Values

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

LONGEST_PREPARED = 4000
"""Characters of a statement that is prepared: on the server, each takes many times its length."""

_LONGEST_LIST = 16
"""Values of a list with which a statement is prepared. The server plans a prepared one for lists of any length; if the
table was empty then, it compares each row with each value for as long as it keeps the plan."""

_COPY_FROM = 20
"""Rows from which COPY is faster than a statement per row."""

_CANCEL_SECONDS = 0.5
_ROLLBACK_SECONDS = 1.0
_DONE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}
_OUTSIDE = {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}
"""Of a connection without a transaction: because none was begun, or because the connection is closed."""


_LEAVES = re.compile(
    r"(?:\A|;|\*/|--[^\n]*\n)\s*(?:set|reset|discard|prepare|listen|load|declare)\b"
    r"|\bset_config\b|\btemp(?:orary)?\b|\bpg_temp\b|\bpg_(?:try_)?advisory_lock|\bwith\s+hold\b|\bdo\s+(?:\$|'|language)",
    re.I,
)
"""What may leave something on the connection: settings, roles, temporary objects, statements, locks, cursors."""


def one_snapshot(isolation: str) -> str:
    """The level under which all statements of a transaction see one moment, and otherwise ``isolation``."""
    return "repeatable read" if isolation == "read committed" else isolation


class Attempts:
    """How the last attempt to connect ended.

    :ivar failure: its error; None if it succeeded, or if there was none.
    """

    __slots__ = ("failure",)

    def __init__(self) -> None:
        self.failure: psycopg.Error | None = None


class PostgresConnection(psycopg.Connection[tuple[Any, ...]]):
    """A psycopg connection that the pool makes; keeps one cursor, which saves a quarter of a point read.

    :ivar taken_at: monotonic seconds at which it last came out of psycopg's own pool.
    :ivar give_back: gives it back to the pool that it came from, which may be closed by then.
    :ivar ending: held by the thread that cuts or closes it because of a deadline.
    """

    taken_at = 0.0
    give_back: Callable[[PostgresConnection], None]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.ending = threading.Lock()

    @classmethod
    def connect(cls, conninfo: str = "", *, attempts: Attempts | None = None, **parameters: Any) -> Self:  # type: ignore[override]
        """As psycopg's own; ``attempts`` is told how it went, of which psycopg's pool keeps nothing."""
        try:
            connection = super().connect(conninfo, **parameters)
        except psycopg.Error as error:
            if attempts is not None:
                attempts.failure = error
            raise
        if attempts is not None:
            attempts.failure = None
        return connection

    _own_cursor: psycopg.Cursor[tuple[Any, ...]] | None = None
    _poller: select.poll | None = None

    def reused_cursor(self) -> psycopg.Cursor[tuple[Any, ...]]:
        """The cursor for all statements whose rows are fetched at once."""
        if self._own_cursor is None:
            self._own_cursor = self.cursor(binary=True)
        return self._own_cursor

    def is_alive(self) -> bool:
        """Whether it still leads to its server, while idle: asks the socket, where nothing should be to read."""
        if self._poller is None:
            self._poller = select.poll()
            self._poller.register(self.fileno(), select.POLLIN | select.POLLHUP | select.POLLERR)
        return not self._poller.poll(0)

    def is_idle(self) -> bool:
        """Whether it is open and outside any transaction."""
        return bool(self.pgconn.transaction_status == TransactionStatus.IDLE)


class PostgresCall:
    """A connection checked out for one call or one session.

    :param writes: whether a lost answer would leave it unknown if a write was applied.
    :param prepare: keep server-side prepared statements; not behind a transaction pooler.
    :param copies: use COPY for bulk inserts; row level security forbids it.
    :param isolation: of transactions, as the connection's session has it.
    """

    def __init__(
        self,
        connection: PostgresConnection,
        watchdog: Watchdog,
        deadline: float,
        *,
        writes: bool,
        prepare: bool,
        copies: bool,
        isolation: str,
    ) -> None:
        self.connection = connection
        self.deadline = deadline
        self._watchdog = watchdog
        self._may_have_applied = writes
        self._prepare = prepare
        self._copies = copies
        self._isolation = isolation
        self._leaves = False
        self._stopped = False
        # A queue because it is written in C: an Event would take longer to make than the call's own bookkeeping.
        self._finished: SimpleQueue[None] = SimpleQueue()
        self._cursor = connection.reused_cursor()

    def rows(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        prepare = self._prepares(text, values)
        return self._watched(lambda: self._readable(self._cursor.execute(text, values, prepare=prepare)))

    def returned(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        return self.rows(text, values)

    def change(self, text: str, values: Values) -> int:
        prepare = self._prepares(text, values)
        return self._watched(lambda: self._cursor.execute(text, values, prepare=prepare).rowcount)

    def _prepares(self, text: str, values: Values) -> bool:
        if not self._prepare or len(text) > LONGEST_PREPARED:
            return False
        return not any(type(value) is list and len(value) > _LONGEST_LIST for value in values)

    def change_many(self, text: str, rows: Iterable[Values]) -> None:
        with self.atomic():
            self._watched(lambda: execute_many(self._cursor, text, rows))

    def insert_many(self, table: TableSchema, columns: tuple[str, ...], text: str, rows: Iterable[Values]) -> None:
        listed = list(rows)
        if not self._copies or len(listed) < _COPY_FROM:
            self.change_many(text, listed)
            return
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        copy = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table.name), names)
        with self.atomic():
            self._watched(lambda: self._copy(copy, listed))

    def _copy(self, statement: sql.Composed, rows: list[Values]) -> None:
        with self._cursor.copy(statement) as copy:
            write = copy.write_row
            for row in rows:
                write(row)

    def statement(
        self, text: str, values: Values, *, limited: bool
    ) -> tuple[tuple[str, ...], list[tuple[Any, ...]], int]:
        self._leaves = self._leaves or _LEAVES.search(text) is not None

        def run() -> tuple[tuple[str, ...], list[tuple[Any, ...]], int]:
            # Results as text: a type that has no binary loader would come out as bytes.
            with TextCursor(self.connection) as cursor:
                if limited:
                    rows = self._loaded(cursor, lambda: cursor.limited(text, values))
                else:
                    cursor.execute(text, values or None)
                    rows = self._loaded(cursor, cursor.fetchall) if cursor.description else []
                return tuple(column.name for column in cursor.description or ()), rows, cursor.changed()

        return self._watched(run)

    def _readable(self, cursor: psycopg.Cursor[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """All rows, with an :class:`~database.backends.postgres.dialect.Unread` for a value that Python has not."""
        try:
            return cursor.fetchall()
        except (psycopg.DataError, ValueError):
            loading = Transformer(Forgiving(self.connection))
            assert cursor.pgresult is not None, "rows were being fetched from it"
            loading.set_pgresult(cursor.pgresult)
            return loading.load_rows(0, cursor.pgresult.ntuples, tuple)

    def _loaded(self, cursor: TextCursor, load: Callable[[], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        try:
            return load()
        except (psycopg.DataError, ValueError, OverflowError) as error:
            if getattr(error, "sqlstate", None) is not None:
                raise
            # The server has done its part.
            if self._may_have_applied:
                raise OutcomeUnknown("the write was carried out, and its answer holds a value without equal") from error
            column = (cursor.description or ())[unread_column(self.connection, cursor)].name
            raise UnreadableRecord(None, None, column, "the value has no equal here") from error

    @contextmanager
    def atomic(self) -> Iterator[None]:
        if self.in_transaction:
            yield
            return
        may_have_applied = self._may_have_applied
        self.control("begin")
        try:
            yield
        except BaseException:
            self.undo()
            raise
        self.commit()
        self._may_have_applied = may_have_applied

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        if self.in_transaction:
            yield
            return
        # Under read committed each statement would see a moment of its own.
        self.control(f"begin isolation level {one_snapshot(self._isolation)}")
        try:
            yield
        except BaseException:
            self.undo()
            raise
        self.control("commit")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; it is not on a connection that is closed."""
        return self.connection.pgconn.transaction_status not in _OUTSIDE

    @property
    def is_idle(self) -> bool:
        """Whether the connection is open and outside any transaction."""
        return self.connection.is_idle()

    def control(self, text: str) -> None:
        """Run transaction control; several statements may be sent in one message."""
        self._may_have_applied = False
        self._watched(lambda: self._control(text))

    def commit(self) -> None:
        """Commit what is in the open transaction.

        :raises OutcomeUnknown: when the answer was lost.
        :raises TimedOut: when the connection was closed at the deadline before; the server rolls back then.
        :raises TransactionError: when the transaction had failed, which the server answers with a rollback.
        """
        if self.connection.closed:
            raise self._closed()
        self._may_have_applied = True
        try:
            done = self._watched(lambda: self._control("commit"))
        except TimedOut as error:
            # The server was asked to stop, and nobody knows whether that came before or after the commit.
            raise OutcomeUnknown("the commit was not confirmed before the deadline") from error
        if done == b"ROLLBACK":
            raise TransactionError("the transaction had failed, and the server rolled it back")

    def undo(self) -> None:
        """Roll back; a connection that cannot even do that is closed, which the server takes for the same."""
        if self.connection.closed or not self.in_transaction:
            return
        self.deadline = math.inf if self.deadline == math.inf else max(self.deadline, monotonic() + _ROLLBACK_SECONDS)
        try:
            self.control("rollback")
        except DataError:
            self.connection.close()

    def end(self) -> None:
        """Roll back what is open; a connection on which SQL text may have left something is closed."""
        self.undo()
        if self._leaves:
            self.connection.close()

    def _control(self, text: str) -> bytes | None:
        # Straight to libpq: half the cost of a cursor for statements that have neither values nor rows.
        result = self.connection.pgconn.exec_(text.encode())
        if result.status not in _DONE:
            raise error_from_result(result)
        return result.command_status

    def _watched(self, run: Callable[[], Answer]) -> Answer:
        if self.deadline == math.inf:
            return self._translating(run)
        ticket = self._watchdog.watch(self.deadline, self._stop)
        try:
            return self._translating(run)
        finally:
            if not self._watchdog.done(ticket):
                self._stopped = True
                self._finished.put(None)
                # A cancel that is still on its way would hit the next statement of this connection. The answer that
                # came is the answer all the same.
                with self.connection.ending:
                    self.connection.close()

    def _translating(self, run: Callable[[], Answer]) -> Answer:
        try:
            return run()
        except psycopg.Error as error:
            # libpq's own errors have no state; for the straight way to it psycopg does not even know their class.
            if error.sqlstate is None and self.connection.closed:
                raise (lost(may_have_applied=True) if self._may_have_applied else self._closed()) from error
            raise translated(error, may_have_applied=self._may_have_applied) from error

    def _closed(self) -> DataError:
        """The error for a connection that is gone, where nothing can have been applied."""
        if self._stopped:
            return TimedOut("the server did not answer in time, and the connection was closed at the deadline")
        return lost(may_have_applied=False)

    def _stop(self) -> None:
        """End what outlives the deadline: ask the server to cancel it; cut the line if nothing comes of that."""
        self._stopped = True
        in_background("isthmus-cancel", self._cancel_or_cut)

    def _cancel_or_cut(self) -> None:
        try:
            self.connection.cancel_safe(timeout=_CANCEL_SECONDS)
        except (psycopg.Error, OSError, ValueError) as error:
            # Of the last two, one whose connection was closed meanwhile.
            logger.warning("a statement could not be cancelled: %s", type(error).__name__)
        try:
            self._finished.get(timeout=_CANCEL_SECONDS)
        except Empty:
            # libpq waits for the socket without a limit; only its end wakes the thread that waits.
            self._cut()

    def _cut(self) -> None:
        try:
            # The number of a socket that is closed meanwhile may belong to another one.
            with self.connection.ending:
                duplicate = os.dup(self.connection.fileno())
        except (psycopg.Error, OSError):
            return
        with socket.socket(fileno=duplicate) as line:
            line.shutdown(socket.SHUT_RDWR)
