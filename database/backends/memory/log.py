"""The change log of the in-memory tables."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from threading import Lock

from database.backends.memory.tables import Tables
from database.changes.feed import Change
from database.changes.feed import ChangeKind
from database.changes.feed import Changes
from database.core.errors import InvalidQuery
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import address
from database.core.tables.keys import address_of
from database.core.tables.keys import key_of
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema

CAPACITY = 10_000
"""Number of changes kept; a follower that is further behind gets a gap."""


class LoggedTables(Tables):
    """Tables that record the changes made to them, except to internal ones, as on every backend.

    :param changes: the changes made so far.
    """

    def __init__(
        self, schema: Schema, rows: dict[str, dict[Key, Row]] | None = None, changes: Iterable[Change] = ()
    ) -> None:
        super().__init__(schema, rows)
        self._changes = list(changes)

    def copy(self) -> LoggedTables:
        tables = super().copy()
        copied = LoggedTables(self._schema, tables._rows, self._changes)
        copied._last = tables._last
        return copied

    def take_changes(self) -> list[Change]:
        """Return the changes in order and clear them."""
        changes, self._changes = self._changes, []
        return changes

    def _store(self, schema: TableSchema, row: Row, index: int | None) -> None:
        kind: ChangeKind = "update" if self._exists(schema.name, key_of(schema, row)) else "insert"
        super()._store(schema, row, index)
        self._log(schema, address_of(schema, row), kind)

    def _erase(self, schema: TableSchema, key: Key) -> None:
        super()._erase(schema, key)
        self._log(schema, address(schema, key), "delete")

    def _log(self, schema: TableSchema, record: str, kind: ChangeKind) -> None:
        if not schema.internal:
            self._changes.append(Change(schema.name, record, kind))


class ChangeLog:
    """The last changes, numbered from 0; a cursor is the number of the next one."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._entries: deque[Change] = deque(maxlen=capacity)
        self._end = 0
        self._lock = Lock()

    def append(self, changes: list[Change]) -> None:
        """Log the changes of a commit."""
        with self._lock:
            self._entries.extend(changes)
            self._end += len(changes)

    def page(self, cursor: str | None, limit: int) -> Changes:
        """At most ``limit`` changes after a cursor; for None no changes and the cursor of the present end.

        :raises InvalidQuery: for an invalid cursor.
        """
        with self._lock:
            wanted = self._end if cursor is None else _number(cursor)
            first = self._end - len(self._entries)
            known = first <= wanted <= self._end
            start = wanted if known else first
            changes = tuple(islice(self._entries, start - first, start - first + limit))
            reached = start + len(changes)
            return Changes(changes, str(reached), more=reached < self._end, gap=not known)


def _number(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit()):
        raise InvalidQuery("invalid change-feed cursor: it was not made by the memory backend")
    return int(cursor)
