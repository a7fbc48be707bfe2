"""A feed and a query that answer as they are told."""

from __future__ import annotations

from collections import deque
from queue import SimpleQueue
from threading import Event

from database.changes.feed import Change
from database.changes.feed import Changes
from database.core.clock import monotonic
from database.core.result import Result
from database.core.result import Row
from database.core.tables.unreadable import Unreadable

PATIENCE = 10.0
"""Seconds after which a test that hangs fails; nothing is measured by it."""


def page(cursor: str, *tables: str, more: bool = False, gap: bool = False) -> Changes:
    """A page with one change for each of the tables."""
    return Changes(tuple(Change(table, "a", "update") for table in tables), cursor, more, gap)


class Feed:
    """Answers with what stands in ``script`` in turn, raising errors; then always with an empty page.

    :ivar asked: the cursors that it was asked with.
    """

    def __init__(self, *script: Changes | Exception) -> None:
        self._script = deque(script)
        self.asked = SimpleQueue[str | None]()

    def __call__(self, cursor: str | None) -> Changes:
        answer = self._script.popleft() if self._script else page(cursor or "start")
        self.asked.put(cursor)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Query:
    """Answers with ``rows`` and ``unreadable``, or raises ``error`` if there is one.

    :ivar made: counts.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.unreadable: list[Unreadable] = []
        self.error: Exception | None = None
        self.made = 0

    def __call__(self) -> Result:
        self.made += 1
        if self.error is not None:
            raise self.error
        return Result([dict(row) for row in self.rows], unreadable=self.unreadable)

    def wait_until_made(self, times: int) -> None:
        """Return when it was made so many times more."""
        wanted, deadline, pause = self.made + times, monotonic() + PATIENCE, Event()
        while self.made < wanted:
            assert monotonic() < deadline
            pause.wait(0.01)
