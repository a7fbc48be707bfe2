"""Shared by the tests of subscriptions: a recording callback, and the backends with a change feed."""

from __future__ import annotations

from queue import SimpleQueue
from threading import enumerate as all_threads

import pytest

from database.adapter.base import DatabaseAdapter
from database.adapter.builder import TableQuery
from database.changes.feed import MAX_PAGE
from database.changes.feed import Change
from database.core.result import Row
from tests.contract.backends import BACKENDS

PATIENCE = 20.0
"""Seconds after which a hanging test fails; a safety net, not a measurement."""

FOLLOWED = [case for case in BACKENDS if case.capabilities.changes]

with_a_feed = pytest.mark.parametrize("_backend", FOLLOWED, indirect=True, ids=lambda case: case.name)


class Inbox:
    """A callback that records the deliveries."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[list[Row]] = SimpleQueue()
        self.count = 0

    def __call__(self, rows: list[Row]) -> None:
        self.count += 1
        self._queue.put(rows)

    def next(self, seconds: float = PATIENCE) -> list[Row]:
        """The next result. :raises Empty: if none is delivered in time."""
        return self._queue.get(timeout=seconds)

    def next_ids(self, seconds: float = PATIENCE) -> list[str]:
        """The ids in the next result."""
        return [row["id"] for row in self.next(seconds)]

    @property
    def empty(self) -> bool:
        return self._queue.empty()


def in_pages(adapter: DatabaseAdapter, cursor: str, limit: int = MAX_PAGE) -> tuple[list[Change], str]:
    """All changes after a cursor, read in pages without a gap, and the cursor after them."""
    found: list[Change] = []
    while True:
        page = adapter.changes(cursor, limit)
        assert len(page.changes) <= limit
        assert not page.gap
        found += page.changes
        cursor = page.cursor
        if not page.more:
            return found, cursor


def told(adapter: DatabaseAdapter, cursor: str) -> list[tuple[str, str]]:
    """The kind and record id of every change since a cursor."""
    return [(change.kind, change.id) for change in in_pages(adapter, cursor)[0]]


def threads() -> list[str]:
    """The names of the threads of all subscriptions, sorted."""
    names = [one.name.removeprefix("isthmus-") for one in all_threads()]
    return sorted(name for name in names if name.startswith(("changes", "subscription")))


def things(adapter: DatabaseAdapter) -> TableQuery:
    """A subscribed query."""
    return adapter.table("things").select("id", "rank")
