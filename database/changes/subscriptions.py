"""The subscriptions on one adapter, and the poller and the threads that they share."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from threading import Lock

from database.changes.budget import MOST_HELD_BYTES
from database.changes.budget import MemoryBudget
from database.changes.crew import Crew
from database.changes.feed import Changes
from database.changes.interest import ChangedRecords
from database.changes.interest import ReadRecords
from database.changes.outage import Outage
from database.changes.poller import Poller
from database.changes.poller import ReadFeed
from database.changes.subscription import ErrorCallback
from database.changes.subscription import Followed
from database.changes.subscription import Subscription
from database.changes.subscription import Surroundings
from database.changes.subscription import Told
from database.core.errors import BackendError

logger = logging.getLogger(__name__)


class Subscriptions:
    """Starts the poller with the first subscription and ends it with the last.

    :param backend: the adapter's name.
    :param read: reads the adapter's feed.
    :param read_records: reads changed records.
    :param most_held: bytes that the subscriptions may hold together.
    """

    def __init__(
        self, backend: str, read: ReadFeed, read_records: ReadRecords, most_held: int = MOST_HELD_BYTES
    ) -> None:
        self._backend = backend
        self._read = read
        self._read_records = read_records
        crew = Crew(f"isthmus-subscription-{backend}")
        self._around = Surroundings(backend, Outage(backend), crew, MemoryBudget(most_held), self._remove)
        self._members: set[Subscription] = set()
        self._poller: Poller | None = None
        self._lock = Lock()

    def __len__(self) -> int:
        """The number of active subscriptions."""
        return len(self._members)

    def describe(self) -> dict[str, int]:
        """How many there are, the bytes that they hold of those that they may, and how many lack some."""
        with self._lock:
            lacking = sum(one.lacks_memory for one in self._members)
        budget = self._around.budget
        return {"active": len(self), "bytes": budget.used, "most_bytes": budget.most, "without_memory": lacking}

    def add(
        self, query: Followed[Told], callback: Callable[[Told], object], on_error: ErrorCallback | None
    ) -> Subscription:
        """Start a subscription with the current identity.

        :raises RequestError: if the query, which is run once to find out, is refused.
        """
        # If the backend does not respond, the subscription retries, as during a later outage.
        cursor = None
        with suppress(BackendError):
            query.try_out()
            if self._poller is None:
                cursor = self._read(None).cursor
        subscription = query.subscription(self._around, callback, on_error)
        with self._lock:
            self._members.add(subscription)
            if self._poller is None:
                self._poller = Poller(self._backend, self._read, self._wake, self._around.outage, cursor)
                self._poller.start()
        try:
            subscription.prepare()
        except BaseException:
            subscription.unsubscribe()
            raise
        with self._lock:
            # All may have been ended meanwhile.
            if subscription in self._members:
                subscription.start()
        return subscription

    def end(self) -> None:
        """End all subscriptions."""
        with self._lock:
            members = list(self._members)
        for subscription in members:
            subscription.unsubscribe()

    def _remove(self, subscription: Subscription) -> None:
        with self._lock:
            self._members.discard(subscription)
            poller = None
            if not self._members:
                poller, self._poller = self._poller, None
        # Without holding the lock, which the poller needs to finish its step.
        if poller is not None:
            poller.stop()

    def _wake(self, page: Changes | None) -> None:
        with self._lock:
            members = list(self._members)
        changed = ChangedRecords(page, self._read_records)
        for one in members:
            if (changed and self._note(one, changed)) or one.waiting:
                one.wake()

    def _note(self, subscription: Subscription, changed: ChangedRecords) -> bool:
        try:
            return subscription.note(changed)
        except Exception:
            # The page is not read again, and must not be lost, neither to this subscription nor to the next ones.
            logger.exception("a subscription on %s cannot tell what has changed, and reads everything", self._backend)
            return subscription.note(ChangedRecords(None, self._read_records))
