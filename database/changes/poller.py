"""The thread that reads a feed as long as somebody follows it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set

from database.changes.feed import Changes
from database.changes.outage import Outage
from database.core.lifecycle import Worker

INTERVAL = 0.25
"""Seconds between two looks at a feed that has come to its end."""

ReadFeed = Callable[[str | None], Changes]
"""Reads the page behind a cursor; None for the present end."""

Notify = Callable[[Set[str] | None], None]
"""Is told the tables that have changed; None if any may have."""


class Poller:
    """Reads a feed from the moment of :meth:`start` and tells which tables have changed.

    With the first answer, and with the first after an outage or a gap, it tells of all tables: what happened
    before is not in the feed.

    :param name: of the backend, for the thread.
    :param outage: is told of a backend that does not answer; the poller goes on asking.
    """

    def __init__(self, name: str, read: ReadFeed, notify: Notify, outage: Outage) -> None:
        self._read = read
        self._notify = notify
        self._outage = outage
        self._cursor: str | None = None
        self._worker = Worker(f"isthmus-changes-{name}", self._poll, INTERVAL, ended=lambda: outage.leave(self))

    def start(self) -> None:
        """Begin; a poller begins once."""
        self._worker.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._worker.stop()

    def _poll(self) -> float | None:
        """Read one page; no pause before the next one if it is there already."""
        try:
            page = self._read(self._cursor)
        except Exception as error:  # noqa: BLE001  # whatever it is, who follows would wait for ever
            self._outage.begin(self, error)
            return None
        recovered = self._outage.end(self)
        everything = recovered or page.gap or self._cursor is None
        self._cursor = page.cursor
        self._notify(None if everything else {change.table for change in page.changes})
        return 0.0 if page.more else None
