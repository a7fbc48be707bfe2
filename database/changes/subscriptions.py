"""The subscriptions on one adapter, and the poller and the threads that they share."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock

from database.changes.crew import Crew
from database.changes.feed import Changes
from database.changes.interest import ChangedRecords
from database.changes.interest import ReadRecords
from database.changes.outage import Outage
from database.changes.poller import Poller
from database.changes.poller import ReadFeed
from database.changes.subscription import Callback
from database.changes.subscription import ErrorCallback
from database.changes.subscription import LiveQuery
from database.changes.subscription import Subscription
from database.core.errors import BackendError


class Subscriptions:
    """Starts the poller with the first subscription and ends it with the last.

    :param backend: the adapter's name.
    :param read: reads the adapter's feed.
    :param read_records: reads changed records.
    """

    def __init__(self, backend: str, read: ReadFeed, read_records: ReadRecords) -> None:
        self._backend = backend
        self._read = read
        self._read_records = read_records
        self._outage = Outage(backend)
        self._crew = Crew(f"isthmus-subscription-{backend}")
        self._members: set[Subscription] = set()
        self._poller: Poller | None = None
        self._lock = Lock()

    def __len__(self) -> int:
        """The number of active subscriptions."""
        return len(self._members)

    def add(self, query: LiveQuery, callback: Callback, on_error: ErrorCallback | None) -> Subscription:
        """Start a subscription with the current identity.

        :raises RequestError: if the query, which is run once to find out, is refused.
        """
        # If the backend does not respond, the subscription retries, as during a later outage.
        with suppress(BackendError):
            query.result()
        subscription = Subscription(self._backend, query, callback, on_error, self._outage, self._crew, self._remove)
        with self._lock:
            self._members.add(subscription)
            subscription.start()
            if self._poller is None:
                self._poller = Poller(self._backend, self._read, self._wake, self._outage)
                self._poller.start()
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
            if one.waiting or (changed and changed.concern(one.tables, one.interest)):
                one.wake()
