"""The thread that reads a change feed while there are subscriptions."""

from __future__ import annotations

from collections.abc import Callable

from database.changes.feed import Changes
from database.changes.outage import Outage
from database.core.lifecycle import Worker

INTERVAL = 0.25
"""Seconds between two reads at the end of the feed."""

ReadFeed = Callable[[str | None], Changes]
"""Reads the page after a cursor; None for the current end."""

Notify = Callable[[Changes | None], None]
"""Called with every page; None if records may have changed that are in no page."""


class Poller:
    """Reads a feed from :meth:`start` on and reports what has changed.

    After an outage it goes on where it was. After a gap, and after its first page if it has begun without a cursor, it
    reports that anything may have changed, because earlier changes are not in the feed.

    :param name: the backend's name, for the thread.
    :param outage: records when the backend does not respond; the poller keeps retrying.
    :param cursor: where to begin; None for the end of the feed when it is first read.
    """

    def __init__(self, name: str, read: ReadFeed, notify: Notify, outage: Outage, cursor: str | None = None) -> None:
        self._read = read
        self._notify = notify
        self._outage = outage
        self._cursor = cursor
        self._worker = Worker(f"isthmus-changes-{name}", self._poll, INTERVAL, ended=lambda: outage.leave(self))

    def start(self) -> None:
        """Start the thread; a poller can be started once."""
        self._worker.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._worker.stop()

    def _poll(self) -> float | None:
        """Read one page. :returns: 0 if the next page already has changes."""
        try:
            page = self._read(self._cursor)
        except Exception as error:  # noqa: BLE001  # after any exception the followers would wait for ever
            self._outage.begin(self, error)
            return None
        self._outage.end(self)
        everything = page.gap or self._cursor is None
        self._cursor = page.cursor
        self._notify(None if everything else page)
        return 0.0 if page.more else None
