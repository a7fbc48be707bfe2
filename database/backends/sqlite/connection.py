"""One apsw connection, used by one thread at a time."""

from __future__ import annotations

import ctypes
import math
import operator
import re
import threading
import time
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any
from typing import TypeVar

import apsw

from database.backends.sqlite.errors import MAX_LENGTH
from database.backends.sqlite.errors import translated
from database.backends.sqlite.forking import FORKS
from database.backends.sqlite.functions import SqlFunctions
from database.backends.sqlite.known_triggers import KnownTriggers
from database.backends.sqlite.known_triggers import SchemaNotKnown
from database.backends.sqlite.many_rows import insert_together
from database.backends.sqlite.scaled import ScaledColumns
from database.backends.sqlite.undecoded import decoded
from database.backends.sqlite.undecoded import text_as_bytes
from database.backends.sqlite.undecoded import text_or_bytes
from database.core.clock import monotonic
from database.core.context import Context
from database.core.errors import ConstraintViolated
from database.core.errors import OutcomeUnknown
from database.core.errors import SerializationFailure
from database.core.errors import UnreadableRecord
from database.core.tables.schema import TableSchema
from database.resilience.watchdog import Watchdog
from database.sql.connection import Rewriting
from database.sql.many_rows import ManyRows
from database.sql.many_rows import Values
from database.sql.texts.answers import Origin
from database.sql.texts.answers import SqlAnswer
from database.sql.texts.answers import require_distinct
from database.sql.texts.limited import within_limits
from database.sql.texts.refusals import several_statements

PAGES_IN_MEMORY = 64 << 20
"""Approximate limit in bytes of the page caches of all connections of the process. At the limit, a connection evicts
one of its own pages for each new one, as it does when its own 16 MiB are full. The limit is global in SQLite; a limit
set before is kept.
"""
apsw.soft_heap_limit(apsw.soft_heap_limit(-1) or PAGES_IN_MEMORY)

_STATEMENT_CACHE = 128
_LONGEST_CACHED = 1000
"""Maximum length of the statements that a connection caches; a compiled one takes twenty bytes per character."""

Answer = TypeVar("Answer")
Run = Callable[[str, Values], Answer]
"""Runs a statement with its values."""

_SETUP_SECONDS = 5.0
_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.015, 0.02, 0.025, 0.05)
"""Seconds between attempts to take a lock that another process holds; the last one repeats."""
_NO_STATEMENT = re.compile(r"(?:[ \t\n\f\r;]|--[^\n]*|/\*(?:[^*]|\*(?!/))*(?:\*/|\Z))*")
_NO_UTF8 = "the stored text is not valid UTF-8"
_REFUSED = (apsw.Error, TypeError, OverflowError)
"""The exceptions of apsw for statements, and for values that SQLite cannot store."""


class SQLiteConnection:
    """A connection in WAL mode whose statements stop at a deadline.

    :param path: the database file; created if it is missing.
    :param synchronous: with ``full`` every commit survives a power failure, with ``normal`` only a crash of the
        process; ``normal`` is several times faster.
    :param watchdog: stops statements at their deadline.
    :param scaled: the columns that are stored as scaled integers.
    :ivar known_triggers: what the file does to the rows that are written.
    :raises DataError: if the file cannot be opened.
    """

    def __init__(
        self, path: Path, synchronous: str, watchdog: Watchdog, scaled: frozenset[Origin] = frozenset()
    ) -> None:
        self._watchdog = watchdog
        self._functions = SqlFunctions()
        self._steps = self._functions.steps
        self._stopping = threading.Lock()
        self._stop_began = False
        self._moved = ctypes.c_int()
        self._moved_at = ctypes.addressof(self._moved)
        try:
            with FORKS.inside(self):
                self._db = apsw.Connection(str(path), statementcachesize=_STATEMENT_CACHE)
                self._set_up(synchronous)
        except apsw.Error as error:
            raise translated(error) from error
        self._limit = watchdog.limit(self._stop)
        self._scaled = ScaledColumns(self._db, scaled) if scaled else None
        # All statements whose rows are fetched at once share a cursor: a new one would cost a tenth of a read.
        self._execute = self._db.cursor().execute
        self.rows: Run[list[tuple[Any, ...]]] = partial(self._watched, self._fetch)
        self.returned: Run[list[tuple[Any, ...]]] = partial(self._watched, self._fetch_returned)
        self.change: Run[int] = partial(self._watched, self._change)
        self.known_triggers = KnownTriggers(self._db, self.rows)
        # For good, because to set it makes SQLite compile all statements again.
        self._db.authorizer = self._authorize

    def _set_up(self, synchronous: str) -> None:
        db = self._db
        self._steps.deadline = monotonic() + _SETUP_SECONDS
        db.set_busy_handler(self._wait_for_lock)
        for pragma in (
            # At most 16 MiB instead of 2, so that larger tables are not read from the file repeatedly.
            "cache_size = -16384",
            "journal_mode = wal",
            f"synchronous = {'full' if synchronous == 'full' else 'normal'}",
            "foreign_keys = on",
            # Without it, "insert or replace" deletes rows without firing delete triggers.
            "recursive_triggers = on",
        ):
            db.execute(f"pragma {pragma}")
        # With SQLite's default of 1 GB, one value could exhaust the memory; request bodies are limited to 1 MiB.
        db.limit(apsw.SQLITE_LIMIT_LENGTH, MAX_LENGTH)
        self._functions.register(db)

    def has_moved(self) -> bool:
        """Whether the open file is no longer the one at its path, because that was deleted or replaced."""
        self._db.file_control("main", apsw.SQLITE_FCNTL_HAS_MOVED, self._moved_at)
        return bool(self._moved.value)

    def limit(self, context: Context) -> None:
        """Apply the context's deadline to all later statements and to waiting for the locks of other processes."""
        self._steps.deadline = context.deadline

    def lock_snapshot(self, context: Context) -> None:
        """Take the write lock in a transaction that may already have read.

        :raises SerializationFailure: if another one has written since, or is writing now: SQLite does not wait then.
        """
        self.limit(context)
        try:
            with FORKS.inside(self):
                # The only statement that takes the lock without a change: it has no effect without auto_vacuum.
                self._execute("pragma incremental_vacuum(1)")
        except apsw.BusyError as error:
            raise SerializationFailure(
                "another transaction has written since this one began to read; retry the transaction"
            ) from error
        except _REFUSED as error:
            raise translated(error) from error

    def change_many(self, text: str, rows: Iterable[Values]) -> None:
        given = rows if isinstance(rows, list) else list(rows)
        total, remaining = len(given), iter(given[insert_together(self, text, given) :])
        try:
            self._watched(self._execute_many, text, remaining)
        except ConstraintViolated as error:
            # The position of the iterator gives the row without counting each one.
            error.row = total - operator.length_hint(remaining) - 1
            raise

    def rewriting(self, table: TableSchema) -> Rewriting:
        return self.known_triggers.of(table.name)

    def insert_many(self, table: TableSchema, text: str, many: ManyRows) -> None:
        with self.atomic():
            self.change_many(text, many.rows())

    def change_together(self, table: TableSchema, text: str, many: ManyRows) -> None:
        raise NotImplementedError("SQLite writes rows directly")

    def statement(self, text: str, values: Values, *, limited: bool) -> SqlAnswer:
        names: tuple[str, ...] | None = None
        origins: tuple[Origin | None, ...] = ()
        reads, scaled = False, self._scaled

        def trace(cursor: apsw.Cursor, first: str, _bindings: Any) -> bool:
            nonlocal names, origins, reads
            # Only comments may follow the first statement.
            if names is None:
                if _NO_STATEMENT.fullmatch(text, len(first)) is None:
                    return False
                # After the last row of a statement, SQLite no longer returns its columns.
                found = cursor.description_full
                names, reads = tuple([column[0] for column in found]), cursor.is_readonly
                require_distinct(names)
                origins = tuple([column[3:] if column[2] == "main" and column[3] else None for column in found])
                if scaled is not None and not cursor.is_explain:
                    scaled.check(text, origins)
            return True

        def run(text: str, values: Values) -> list[tuple[Any, ...]]:
            cursor = self._db.cursor()
            cursor.exec_trace = trace
            if scaled is not None:
                scaled.begin()
            try:
                found = cursor.execute(text, values, can_cache=scaled is None and len(text) <= _LONGEST_CACHED)
                return within_limits(found) if limited else found.fetchall()
            except apsw.ExecTraceAbort as error:
                raise several_statements() from error
            except UnicodeDecodeError as error:
                if not reads:
                    raise OutcomeUnknown(
                        f"the write was executed, but its result cannot be read: {_NO_UTF8}"
                    ) from error
                raise UnreadableRecord(
                    None, None, self._find_undecodable(text, values, names or ()), _NO_UTF8
                ) from error
            finally:
                cursor.close()

        self.known_triggers.doubt()
        before = self._db.total_changes()
        rows = self._watched(run, text, values)
        changed = self._db.changes() if self._db.total_changes() != before else 0
        return SqlAnswer(names or (), rows, changed, origins)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        if self.in_transaction:
            self.known_triggers.look()
            yield
            return
        self.control("begin immediate")
        try:
            yield
            self.control("commit")
        except BaseException:
            self.undo()
            raise

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        if self.in_transaction:
            yield
            return
        self.control("begin")
        try:
            yield
        finally:
            self.undo()

    @property
    def in_transaction(self) -> bool:
        return bool(self._db.in_transaction)

    def control(self, text: str) -> None:
        """Run a transaction control statement."""
        self.known_triggers.is_current = False
        FORKS.enter(self)
        if FORKS.closed:
            FORKS.wait(self)
        try:
            self._execute(text)
        except apsw.Error as error:
            raise translated(error) from error
        finally:
            FORKS.leave(self)

    def undo(self) -> None:
        """Roll back, if SQLite has not done so itself. If that fails, :attr:`in_transaction` stays true."""
        self._steps.deadline = math.inf
        self.known_triggers.is_current = False
        if self._db.in_transaction:
            with suppress(apsw.Error), FORKS.inside(self):
                self._execute("rollback")

    def close(self) -> None:
        """Close the file; closing the last connection merges the write-ahead log into the database."""
        self._watchdog.forget(self._limit)
        with FORKS.inside(self):
            self._db.close()

    def _fetch(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        try:
            if len(text) > _LONGEST_CACHED:
                return self._execute(text, values, can_cache=False).fetchall()
            return self._execute(text, values).fetchall()
        except UnicodeDecodeError:
            return decoded(self._fetch_as_bytes(text, values))

    def _fetch_as_bytes(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        """Read the rows of a query with text as bytes, in the form of ``text_as_bytes``."""
        cursor = self._db.cursor()
        width = len(cursor.execute(text, values).get_description())
        cursor.close()
        names = [f"c{number}" for number in range(width)]
        # The statement is generated, or was just executed. The line break ends a trailing comment.
        again = f"with isthmus_rows({', '.join(names)}) as ({text}\n) select {text_as_bytes(names)} from isthmus_rows"  # noqa: S608
        return self._execute(again, values).fetchall()

    def _fetch_returned(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        self._execute("savepoint isthmus_returned")
        try:
            try:
                rows = self._execute(text, values, can_cache=len(text) <= _LONGEST_CACHED).fetchall()
            except UnicodeDecodeError:
                # The write was executed: undo it and execute it again with text as bytes.
                self._execute("rollback to isthmus_returned")
                write, _, names = text.rpartition(" RETURNING ")
                rows = decoded(
                    self._execute(f"{write} RETURNING {text_as_bytes(names.split(', '))}", values).fetchall()
                )
        except BaseException:
            # Suppressed, because some errors have already ended the whole transaction.
            with suppress(apsw.Error):
                self._execute("rollback to isthmus_returned")
                self._execute("release isthmus_returned")
            raise
        self._execute("release isthmus_returned")
        if self.known_triggers.relies:
            self.known_triggers.confirm()
        return rows

    def _find_undecodable(self, text: str, values: Values, names: Sequence[str]) -> str:
        """Find the first column of a result with text that is not UTF-8; all columns, if this is unknown."""
        with suppress(apsw.Error):
            for row in self._fetch_as_bytes(text.rstrip(" \t\r\n;"), values):
                for name, value, kind in zip(names, row[::2], row[1::2], strict=True):
                    if kind == "text" and isinstance(text_or_bytes(value, kind), bytes):
                        return name
        return ", ".join(names)

    def _change(self, text: str, values: Values) -> int:
        if len(text) > _LONGEST_CACHED:
            self._execute(text, values, can_cache=False)
        else:
            self._execute(text, values)
        if self.known_triggers.relies:
            self.known_triggers.confirm()
        return self._db.changes()

    def insert_several(self, text: str, values: Values) -> None:
        """Run a long statement that the connection caches, because many like it follow."""
        self._watched(self._execute_many, text, [values])

    def _execute_many(self, text: str, rows: Any) -> None:
        self._db.executemany(text, rows)
        if self.known_triggers.relies:
            self.known_triggers.confirm()

    def _watched(self, run: Callable[[str, Any], Answer], text: str, values: Any) -> Answer:
        FORKS.enter(self)
        if FORKS.closed:
            FORKS.wait(self)
        limit = self._limit
        limit.deadline = self._steps.deadline
        if not self._watchdog.worker.at_work:
            self._watchdog.look_on()
        try:
            return run(text, values)
        except apsw.AuthError as error:
            self.known_triggers.doubt()
            raise SchemaNotKnown from error
        except _REFUSED as error:
            raise translated(error) from error
        finally:
            limit.deadline = math.inf
            FORKS.leave(self)
            if self._stop_began:
                self._wait_for_stop()
            if self._functions.used:
                self._functions.forget()

    def _authorize(self, action: int, *names: str | None) -> int:
        if self._scaled is not None:
            self._scaled.note(action, *names)
        return self.known_triggers.authorize(action)

    def _wait_for_lock(self, attempts: int) -> bool:
        """Wait until the next attempt; False if the deadline has passed."""
        left = self._steps.deadline - monotonic()
        if left <= 0:
            return False
        time.sleep(min(left, _PAUSES[min(attempts, len(_PAUSES) - 1)]))
        return True

    def _wait_for_stop(self) -> None:
        """Wait for an interruption of this statement to finish, so that it cannot stop the next one."""
        with self._stopping:
            self._stop_began = False

    def _stop(self) -> None:
        """Interrupt a statement at its deadline, again and again, because one that begins later misses it."""
        with self._stopping:
            # Before the deadline is read: the end of the statement sets that first, and looks at this then.
            self._stop_began = True
            if monotonic() >= self._limit.deadline:
                self._db.interrupt()
