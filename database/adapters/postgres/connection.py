"""One connection of the pool, with a deadline on everything it does."""

from __future__ import annotations

import logging
import math
import os
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
from typing import TypeVar

import psycopg
from psycopg import sql
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq import TransactionStatus

from database.adapters.postgres.errors import translated
from database.adapters.postgres.sqlstates import lost
from database.adapters.sql.operations import Values
from database.core.clock import monotonic
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from database.core.schema import TableSchema
from database.resilience.watchdog import Watchdog

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

LONGEST_PREPARED = 4000
"""Characters of a statement that is prepared: on the server, each takes many times its length."""

_COPY_FROM = 20
"""Rows from which COPY is faster than a statement per row."""

_CANCEL_SECONDS = 0.5
_ROLLBACK_SECONDS = 1.0
_DONE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}


class PostgresConnection(psycopg.Connection[tuple[Any, ...]]):
    """A psycopg connection that the pool makes; keeps one cursor, which saves a quarter of a point read.

    :ivar taken_at: monotonic seconds at which it last came out of psycopg's own pool.
    """

    taken_at = 0.0
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
    ) -> None:
        self.connection = connection
        self.deadline = deadline
        self._watchdog = watchdog
        self._may_have_applied = writes
        self._prepare = prepare
        self._copies = copies
        self._stopped = False
        # A queue because it is written in C: an Event would take longer to make than the call's own bookkeeping.
        self._finished: SimpleQueue[None] = SimpleQueue()
        self._cursor = connection.reused_cursor()

    def rows(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        return self._watched(lambda: self._cursor.execute(text, values, prepare=self._prepares(text)).fetchall())

    def change(self, text: str, values: Values) -> int:
        return self._watched(lambda: self._cursor.execute(text, values, prepare=self._prepares(text)).rowcount)

    def _prepares(self, text: str) -> bool:
        return self._prepare and len(text) <= LONGEST_PREPARED

    def change_many(self, text: str, rows: Iterable[Values]) -> None:
        with self.atomic():
            self._watched(lambda: self._cursor.executemany(text, rows))

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

    def statement(self, text: str, values: Values) -> tuple[tuple[str, ...], list[tuple[Any, ...]], int]:
        def run() -> tuple[tuple[str, ...], list[tuple[Any, ...]], int]:
            # Results as text: a type that has no binary loader would come out as bytes.
            with self.connection.cursor(binary=False) as cursor:
                cursor.execute(text, values or None)
                if cursor.description is None:
                    return (), [], max(cursor.rowcount, 0)
                names = tuple(column.name for column in cursor.description)
                return names, cursor.fetchall(), max(cursor.rowcount, 0)

        return self._watched(run)

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

    @property
    def in_transaction(self) -> bool:
        return self.connection.pgconn.transaction_status != TransactionStatus.IDLE

    def control(self, text: str) -> None:
        """Run transaction control; several statements may be sent in one message."""
        self._may_have_applied = False
        self._watched(lambda: self._control(text))

    def commit(self) -> None:
        """Commit. :raises OutcomeUnknown: when the answer was lost."""
        self._may_have_applied = True
        try:
            self._watched(lambda: self._control("commit"))
        except TimedOut as error:
            # The server was asked to stop, and nobody knows whether that came before or after the commit.
            raise OutcomeUnknown("the commit was not confirmed before the deadline") from error

    def undo(self) -> None:
        """Roll back; a connection that cannot even do that is closed, which the server takes for the same."""
        if self.connection.closed or not self.in_transaction:
            return
        self.deadline = math.inf if self.deadline == math.inf else max(self.deadline, monotonic() + _ROLLBACK_SECONDS)
        try:
            self.control("rollback")
        except DataError:
            self.connection.close()

    def _control(self, text: str) -> None:
        # Straight to libpq: half the cost of a cursor for statements that have neither values nor rows.
        result = self.connection.pgconn.exec_(text.encode())
        if result.status not in _DONE:
            raise error_from_result(result)

    def _watched(self, run: Callable[[], Answer]) -> Answer:
        if self.deadline == math.inf:
            return self._translating(run)
        ticket = self._watchdog.watch(self.deadline, self._stop)
        try:
            return self._translating(run)
        finally:
            if not self._watchdog.done(ticket):
                self._finished.put(None)
                # A cancel that is still on its way would hit the next statement of this connection.
                self.connection.close()

    def _translating(self, run: Callable[[], Answer]) -> Answer:
        try:
            return run()
        except psycopg.Error as error:
            # libpq's own errors have no state; for the straight way to it psycopg does not even know their class.
            if error.sqlstate is None and self.connection.closed:
                raise (self._cut_off() if self._stopped else lost(may_have_applied=self._may_have_applied)) from error
            raise translated(error, may_have_applied=self._may_have_applied) from error

    def _cut_off(self) -> DataError:
        if self._may_have_applied:
            return lost(may_have_applied=True)
        return TimedOut("the server went silent and the connection was cut at the deadline")

    def _stop(self) -> None:
        """End what outlives the deadline: ask the server to cancel it; cut the line if nothing comes of that."""
        self._stopped = True
        threading.Thread(target=self._cancel_or_cut, name="isthmus-cancel", daemon=True).start()

    def _cancel_or_cut(self) -> None:
        try:
            self.connection.cancel_safe(timeout=_CANCEL_SECONDS)
        except psycopg.Error as error:
            logger.warning("a statement could not be cancelled: %s", type(error).__name__)
        try:
            self._finished.get(timeout=_CANCEL_SECONDS)
        except Empty:
            # libpq waits for the socket without a limit; only its end wakes the thread that waits.
            self._cut()

    def _cut(self) -> None:
        try:
            duplicate = os.dup(self.connection.fileno())
        except (psycopg.Error, OSError):
            return
        with socket.socket(fileno=duplicate) as line:
            line.shutdown(socket.SHUT_RDWR)
