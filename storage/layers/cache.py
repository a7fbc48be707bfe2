"""A cache of entries: never the only copy, never in the way, and never behind what this process has written."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from datetime import datetime
from datetime import timedelta
from typing import ClassVar
from typing import Final

from database.core.clock import utc_now
from database.core.context import Context
from database.core.context import active_unit
from database.core.context import on_its_own
from database.core.errors import DataError
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from database.unit_of_work import UnitOfWork
from storage.backends.memory import MemoryEntries
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import DAMAGED
from storage.core.entry import Stored
from storage.core.layer import Layer
from storage.core.layer import require_one_tenant
from storage.core.making import WallClock
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import written
from storage.core.store import Store
from storage.layers.recent_writes import RecentWrites

logger = logging.getLogger(__name__)

TTL: Final = 300.0
LARGEST: Final = 1 << 20
MOST_BYTES: Final = 64 << 20

_TRANSACTION: Final = 600.0
"""Seconds that no transaction exceeds."""

_UNTIL: Final = "cached_until"
_EXPIRES: Final = "cached_expires"


class Cache(Layer):
    """Keeps entries that were read, so that they need not be read again.

    What this process has written or deleted is never read stale, and a write whose outcome is unknown counts as one.
    What others have written is seen after ``ttl`` at the latest. A call inside a transaction that writes reads past the
    cache, because its reads must be of its own snapshot. A place that fails is a miss, and is counted.

    :param place: where they are kept; this process' memory by default. It need not be reliable.
    :param ttl: seconds for which an entry is kept.
    :param largest: the largest body that is kept, in bytes.
    :param clock: the time of day.
    """

    name: ClassVar[str] = "cache"

    def __init__(
        self, place: Store | None = None, ttl: float = TTL, largest: int = LARGEST, clock: WallClock = utc_now
    ) -> None:
        super().__init__()
        self._place = place or Store(MemoryEntries(MOST_BYTES), "cache")
        self._ttl = timedelta(seconds=ttl)
        self._largest = largest
        self._clock = clock
        # Longer than a transaction takes, and then anything is kept.
        self._recent = RecentWrites(_TRANSACTION + 2 * ttl)
        self._joins = False

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        require_one_tenant(inner, "a cache")
        self._joins = inner.joins
        return super().offers(inner)

    def around(self, inner: Handler) -> Handler:
        def call(operation: Operation, context: Context) -> Result:
            if isinstance(operation, Fetch):
                return self._read(inner, operation, context)
            if isinstance(operation, Clear):
                return inner(operation, context) if operation.past else self._clear(inner, operation, context)
            etags = written(operation)
            return self._write(inner, operation, etags, context) if etags else inner(operation, context)

        return call

    def places(self) -> Iterable[Store]:
        return (self._place,)

    def _read(self, inner: Handler, fetch: Fetch, context: Context) -> Result:
        if self._joins and _writes():
            return inner(fetch, context)
        found = self._kept(fetch.key)
        if found is not None:
            self.counts["hits"] += 1
            return Result(value=found._replace(body=b"") if fetch.head else found)
        self.counts["misses"] += 1
        began = self._clock()
        result = inner(fetch, context)
        if not (fetch.head or fetch.preview) and result.value is not None:
            self._keep(result.value, began)
        return result

    def _write(self, inner: Handler, operation: Operation, etags: Mapping[str, str | None], context: Context) -> Result:
        unknown = dict.fromkeys(etags)
        self._recent.begin(*etags)
        try:
            result = inner(operation, context)
        except BaseException:
            self._end(unknown)
            raise
        unit = active_unit.get() if self._joins else None
        if unit is None:
            self._end(etags)
        elif isinstance(unit, UnitOfWork):
            unit.after_commit(lambda: self._end(etags))
            unit.after_rollback(lambda: self._end(unknown))
        else:
            # Nobody tells when a transaction ends, nor which one of several is committed first.
            self._end(unknown)
        return result

    def _end(self, etags: Mapping[str, str | None]) -> None:
        for key, etag in etags.items():
            self._recent.end(key, etag)
            self._drop(key)

    def _clear(self, inner: Handler, clear: Clear, context: Context) -> Result:
        self._recent.begin_clearing(clear.prefix)
        try:
            return inner(clear, context)
        finally:
            self._recent.end_clearing(clear.prefix)
            with self._counted():
                self._place.run(clear)

    def _kept(self, key: str) -> Stored | None:
        """The entry of a key, if it may be shown."""
        found: Stored | None = None
        with self._counted():
            found = self._place.run(Fetch(key))
        if found is None or DAMAGED in found.headers or not self._recent.allow(key, found.etag):
            return None
        headers = dict(found.headers)
        try:
            until, expires = datetime.fromisoformat(headers.pop(_UNTIL)), headers.pop(_EXPIRES)
            expires_at = datetime.fromisoformat(expires) if expires else None
        except (KeyError, ValueError):
            return None
        return found._replace(headers=headers, expires_at=expires_at) if self._clock() < until else None

    def _keep(self, entry: Stored, began: datetime) -> None:
        """Keep what was read, from when the reading began: it may have changed since."""
        if DAMAGED in entry.headers or len(entry.body) > self._largest or not self._recent.allow(entry.key, entry.etag):
            return
        until = began + self._ttl
        expires = "" if entry.expires_at is None else entry.expires_at.isoformat()
        headers = {**entry.headers, _UNTIL: until.isoformat(), _EXPIRES: expires}
        with self._counted():
            self._place.run(Put(entry._replace(headers=headers, expires_at=until)))

    def _drop(self, key: str) -> None:
        with self._counted():
            self._place.run(Remove(key, self._clock()))

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """A call of the place, whose errors are only counted."""
        try:
            with on_its_own():
                yield
        except DataError as error:
            self.counts["errors"] += 1
            logger.info("the cache failed, and does not keep the store from answering: %s", error)


def _writes() -> bool:
    """Whether a read belongs to a transaction that writes, or is expected to."""
    unit = active_unit.get()
    return unit.writes if isinstance(unit, UnitOfWork) else unit is not None
