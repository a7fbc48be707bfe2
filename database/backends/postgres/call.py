"""The statements of one call or session on a connection of the pool, each stopped at a deadline."""

from __future__ import annotations

import logging
import math
import os
import re
import socket
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty
from queue import SimpleQueue
from typing import Any
from typing import ParamSpec
from typing import TypeVar

import psycopg
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.pq import ExecStatus
from psycopg.pq import TransactionStatus
from psycopg.pq.abc import PGresult

from database.backends.postgres.connection import PostgresConnection
from database.backends.postgres.cursor import TextCursor
from database.backends.postgres.dialect import fetch_all
from database.backends.postgres.dialect import unread_column
from database.backends.postgres.errors import translated
from database.backends.postgres.many_rows import copy_rows
from database.backends.postgres.many_rows import execute_many
from database.backends.postgres.many_rows import row_texts
from database.backends.postgres.sqlstates import lost
from database.backends.postgres.text_values import json_lists
from database.backends.postgres.text_values import whole_numbers
from database.core.clock import monotonic
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.errors import UnreadableRecord
from database.core.lifecycle import in_background
from database.core.tables.schema import TableSchema
from database.resilience.watchdog import Watchdog
from database.sql.connection import Rewriting
from database.sql.many_rows import ManyRows
from database.sql.many_rows import Values
from database.sql.texts.answers import SqlAnswer
from database.sql.texts.answers import require_distinct

logger = logging.getLogger(__name__)

P = ParamSpec("P")
Answer = TypeVar("Answer")

LONGEST_PREPARED = 4000
"""Longest statement that is prepared, in characters: a prepared statement takes many times its length on the server."""

_LONGEST_LIST = 16
"""Longest list value with which a statement is prepared. The server caches one plan for lists of any length; a plan
made while the table was empty compares each row with each value for as long as it is cached."""

_COPY_FROM = 20
"""Number of rows from which COPY is faster than one statement per row."""

_CANCEL_SECONDS = 0.5
_ROLLBACK_SECONDS = 1.0
_DONE = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}
_OUTSIDE = {TransactionStatus.IDLE, TransactionStatus.UNKNOWN}
"""Statuses of a connection without an open transaction: idle, or closed."""


_LEAVES = re.compile(
    r"(?:\A|;|\*/|--[^\n]*\n)\s*(?:set|reset|discard|prepare|listen|load|declare)\b"
    r"|\bset_config\b|\btemp(?:orary)?\b|\bpg_temp\b|\bpg_(?:try_)?advisory_lock|\bwith\s+hold\b|\bdo\s+(?:\$|'|language)",
    re.I,
)
"""SQL that may leave state on the connection: settings, roles, temporary objects, statements, locks, cursors."""


def one_snapshot(isolation: str) -> str:
    """``isolation``, raised to ``repeatable read`` if its statements would not share one snapshot."""
    return "repeatable read" if isolation == "read committed" else isolation


class PostgresCall:
    """A connection checked out for one call or one session.

    :param writes: whether the call may write, so that a lost response leaves the outcome unknown.
    :param prepare: use server-side prepared statements; not possible behind a transaction pooler.
    :param copies: use COPY for bulk inserts; not possible with row level security.
    :param isolation: the default isolation level of the connection's session.
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
        # SimpleQueue is implemented in C; creating an Event would take longer than the rest of this constructor.
        self._finished: SimpleQueue[None] = SimpleQueue()
        self._cursor = connection.reused_cursor()

    def rows(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        prepare = self._prepares(text, values)
        return self._watched(fetch_all, self._cursor, text, values, prepare)

    def value_alone(self, beginning: str, query: str) -> bytes | None:
        """The one value that a query without parameters returns, as text, in a transaction of its own.

        All of it is one round trip.

        :param beginning: begins the transaction.
        """
        return self._watched(lambda: self._results(f"{beginning}; {query}; commit")[-2].get_value(0, 0))

    def returned(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        return self.rows(text, values)

    def change(self, text: str, values: Values) -> int:
        prepare = self._prepares(text, values)
        return self._watched(self._cursor.run, text, values, prepare).command_tuples or 0

    def _prepares(self, text: str, values: Values) -> bool:
        if not self._prepare or len(text) > LONGEST_PREPARED:
            return False
        if list not in map(type, values):
            return True
        return not any(type(value) is list and len(value) > _LONGEST_LIST for value in values)

    def rewriting(self, table: TableSchema) -> Rewriting:
        return self.connection.known_rewriting.of(table, self._asked)

    def _asked(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        """The rows of a query that precedes the write: if its response is lost, nothing has been applied."""
        may_have_applied, self._may_have_applied = self._may_have_applied, False
        try:
            return self.rows(text, values)
        finally:
            self._may_have_applied = may_have_applied

    def change_many(self, text: str, rows: Iterable[Values]) -> None:
        with self.atomic():
            self._watched(lambda: execute_many(self._cursor, text, rows))

    def insert_many(self, table: TableSchema, text: str, many: ManyRows) -> None:
        if not self._copies or len(many) < _COPY_FROM:
            self.change_many(text, many.rows())
            return
        with self.atomic():
            self._watched(lambda: copy_rows(self._cursor, table, many))

    def change_together(self, table: TableSchema, text: str, many: ManyRows) -> None:
        prepare = self._prepares(text, ())
        with self.atomic():
            for rows in row_texts(self.connection, table, many):
                self._watched(self._cursor.run, text, (rows,), prepare)

    def statement(self, text: str, values: Values, *, limited: bool) -> SqlAnswer:
        self._leaves = self._leaves or _LEAVES.search(text) is not None
        bound = self._with_json_lists(text, values) if any(isinstance(value, list) for value in values) else values

        def run() -> SqlAnswer:
            # Results as text: a type that has no binary loader would come out as bytes.
            with TextCursor(self.connection) as cursor:
                if limited:
                    rows = self._load_rows(cursor, lambda: cursor.limited(text, bound))
                else:
                    cursor.execute(text, bound or None)
                    rows = self._load_rows(cursor, cursor.fetchall) if cursor.description else []
                names = tuple([column.name for column in cursor.description or ()])
                require_distinct(names)
                rows = self.connection.made_types.lists(self.connection, cursor.pgresult, rows)
                return SqlAnswer(names, whole_numbers(cursor.pgresult, rows), cursor.changed())

        return self._watched(run)

    def _with_json_lists(self, text: str, values: Values) -> Values:
        inside = self.in_transaction
        if inside:
            self.control("savepoint isthmus_lists")
        found = self._watched(lambda: json_lists(self.connection, text, values))
        if inside:
            self.control("rollback to savepoint isthmus_lists; release savepoint isthmus_lists")
        return found

    def _load_rows(self, cursor: TextCursor, load: Callable[[], list[tuple[Any, ...]]]) -> list[tuple[Any, ...]]:
        try:
            return load()
        except (psycopg.DataError, ValueError, OverflowError) as error:
            if getattr(error, "sqlstate", None) is not None:
                raise
            # The server has executed the statement; only the conversion of its rows failed.
            if self._may_have_applied:
                raise OutcomeUnknown("the write returned a value that Python cannot represent") from error
            column = (cursor.description or ())[unread_column(self.connection, cursor)].name
            raise UnreadableRecord(None, None, column, "Python cannot represent the value") from error

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
        # Under read committed each statement would have its own snapshot.
        self.control(f"begin isolation level {one_snapshot(self._isolation)}")
        try:
            yield
        except BaseException:
            self.undo()
            raise
        self.control("commit")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; False on a closed connection."""
        return self.connection.pgconn.transaction_status not in _OUTSIDE

    @property
    def is_idle(self) -> bool:
        """Whether the connection is open and outside any transaction."""
        return self.connection.is_idle()

    def control(self, text: str) -> None:
        """Run transaction control statements, which may be several separated by semicolons."""
        self._may_have_applied = False
        self._watched(lambda: self._control(text))

    def commit(self) -> None:
        """Commit the open transaction.

        :raises OutcomeUnknown: if the response was lost.
        :raises TimedOut: if the connection was closed at the deadline before the commit, so the server rolled back.
        :raises TransactionError: if the transaction had failed, so the server rolled back.
        """
        if self.connection.closed:
            raise self._closed()
        self._may_have_applied = True
        try:
            done = self._watched(lambda: self._control("commit"))
        except TimedOut as error:
            # The server was asked to cancel; whether that happened before or after the commit is unknown.
            raise OutcomeUnknown("the commit was not confirmed before the deadline") from error
        if done == b"ROLLBACK":
            raise TransactionError(
                "the server rolled the transaction back, because one of its statements had failed; run it again"
            )

    def undo(self) -> None:
        """Roll back; if that fails, close the connection, which also makes the server roll back."""
        if self.connection.closed or not self.in_transaction:
            return
        self.deadline = math.inf if self.deadline == math.inf else max(self.deadline, monotonic() + _ROLLBACK_SECONDS)
        try:
            self.control("rollback")
        except DataError:
            self.connection.close()

    def end(self) -> None:
        """Roll back an open transaction; close the connection if SQL text may have left state on it."""
        if not self.connection.is_idle():
            self.undo()
        if self._leaves:
            self.connection.close()

    def _control(self, text: str) -> bytes | None:
        # Directly through libpq, at half the cost of a cursor, because these statements have no values and no rows.
        result = self.connection.pgconn.exec_(text.encode())
        if result.status not in _DONE:
            raise error_from_result(result)
        return result.command_status

    def _results(self, statements: str) -> list[PGresult]:
        """The results of several statements without values."""
        self.connection.pgconn.send_query(statements.encode())
        results: list[PGresult] = self.connection.wait(execute(self.connection.pgconn))
        for result in results:
            if result.status not in {*_DONE, ExecStatus.TUPLES_OK}:
                raise error_from_result(result)
        return results

    def _watched(self, run: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
        watched = self.deadline != math.inf
        ticket = self._watchdog.watch(self.deadline, self._stop) if watched else 0
        try:
            return run(*args, **kwargs)
        except psycopg.Error as error:
            raise self._translated(error) from error
        finally:
            if watched and not self._watchdog.done(ticket):
                self._stopped = True
                self._finished.put(None)
                # Close the connection, because a cancel request under way would hit its next statement. The result
                # of this call, if it has one, remains valid.
                with self.connection.ending:
                    self.connection.close()

    def _translated(self, error: psycopg.Error) -> DataError:
        # libpq's own errors have no SQLSTATE, and from exec_() they do not even have a specific class.
        if error.sqlstate is None and self.connection.closed:
            return lost(may_have_applied=True) if self._may_have_applied else self._closed()
        return translated(error, may_have_applied=self._may_have_applied)

    def _closed(self) -> DataError:
        """The error for a closed connection if nothing can have been applied."""
        if self._stopped:
            return TimedOut("the server did not respond before the deadline; the connection was closed")
        return lost(may_have_applied=False)

    def _stop(self) -> None:
        """Stop a statement at its deadline: ask the server to cancel it, and shut down the socket if that fails."""
        self._stopped = True
        in_background("isthmus-cancel", self._cancel_or_shut_down)

    def _cancel_or_shut_down(self) -> None:
        try:
            self.connection.cancel_safe(timeout=_CANCEL_SECONDS)
        except (psycopg.Error, OSError, ValueError) as error:
            # OSError and ValueError come from a connection that was closed meanwhile.
            logger.warning("could not cancel a statement at its deadline: %s", type(error).__name__)
        try:
            self._finished.get(timeout=_CANCEL_SECONDS)
        except Empty:
            # libpq waits for the socket without a timeout; only shutting it down wakes the waiting thread.
            self._shut_down()

    def _shut_down(self) -> None:
        try:
            # Under the lock, because the file descriptor of a closed socket may be reused for another one.
            with self.connection.ending:
                duplicate = os.dup(self.connection.fileno())
        except (psycopg.Error, OSError):
            return
        with socket.socket(fileno=duplicate) as line:
            line.shutdown(socket.SHUT_RDWR)
