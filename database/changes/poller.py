"""The thread that reads a feed as long as somebody follows it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set
from threading import Event
from threading import Thread
from threading import current_thread

from database.changes.feed import Changes
from database.changes.outage import Outage

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
        self._stopped = Event()
        self._thread = Thread(target=self._run, name=f"isthmus-changes-{name}", daemon=True)

    def start(self) -> None:
        """Begin; a poller begins once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        if self._thread is not current_thread():
            self._thread.join()

    def _run(self) -> None:
        pause = 0.0
        while not self._stopped.wait(pause):
            pause = 0.0 if self._poll() else INTERVAL
        self._outage.leave(self)

    def _poll(self) -> bool:
        """Read one page; whether there is another one."""
        try:
            page = self._read(self._cursor)
        except Exception as error:  # noqa: BLE001  # whatever it is, who follows would wait for ever
            self._outage.begin(self, error)
            return False
        recovered = self._outage.end(self)
        everything = recovered or page.gap or self._cursor is None
        self._cursor = page.cursor
        self._notify(None if everything else {change.table for change in page.changes})
        return page.more
