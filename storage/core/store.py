"""A store: values under keys, with metadata, a time to live and versions, the same on every backend."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import TYPE_CHECKING
from typing import Any
from typing import Final

from database.core.clock import utc_now
from database.core.context import current_context
from database.core.errors import CallerMissing
from database.core.errors import DataError
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.operations import Ping
from database.resilience.pipeline import Pipeline
from database.resilience.settings import ResilienceSettings
from database.resilience.stages import Handler
from storage.core.backend import StoreBackend
from storage.core.conditions import check_filters
from storage.core.conditions import matches
from storage.core.conditions import needs_value
from storage.core.conditions import without_value
from storage.core.entry import DAMAGED
from storage.core.entry import Entry
from storage.core.entry import EntryPage
from storage.core.entry import Stored
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import as_storage_error
from storage.core.errors import missing
from storage.core.errors import shown
from storage.core.keys import check_key
from storage.core.keys import check_prefix
from storage.core.layer import Layer
from storage.core.making import Maker
from storage.core.making import WallClock
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.operations import Search
from storage.core.snapshots import LayerSnapshot
from storage.core.snapshots import StoreSnapshot
from storage.core.streaming import Streaming
from storage.core.values import absent
from storage.core.values import entry_of
from storage.core.values import head_of
from storage.core.values import readable
from storage.core.values import readable_body
from storage.core.values import value_of
from storage.core.vectors.searching import first_fitting

if TYPE_CHECKING:
    from storage.core.vectors.directions import Vector

MAX_PAGE: Final = 1_000
"""The most entries of a page, or of a query."""

PREVIEW: Final = 1 << 10
"""The bytes of a preview."""

_NO_LIMITS: Final = ResilienceSettings(timeout=0, max_concurrency=0, retry_count=0)
"""Those of a backend that does not wait: only the caller's own deadline, and what fails would fail again."""

_SCANNED: Final = 200
_SCANNED_WHOLE: Final = 20
"""How many entries are read at once, without and with their bodies."""


class Store(Streaming):
    """Values under keys.

    A value is anything that :mod:`storage.core.documents` writes as JSON, or bytes. Nothing that is given or returned
    is shared with the store.

    :param backend: where the entries are.
    :param name: its name in errors, metrics and status; the kind of the backend by default.
    :param settings: timeouts, retries and circuit breaker of its calls; not used by a backend that is protected itself.
        By default those of :class:`ResilienceSettings`, without retries and the limits of time and number if the
        backend never waits.
    :param clock: the time of day, for what is stored and what expires.
    :param layers: what is done to entries on their way, the first one first.
    :param largest: the largest value in bytes, if it is less than the backend takes.
    """

    def __init__(
        self,
        backend: StoreBackend,
        name: str | None = None,
        settings: ResilienceSettings | None = None,
        clock: WallClock = utc_now,
        layers: Sequence[Layer] = (),
        largest: int | None = None,
    ) -> None:
        self.backend = backend
        self._clock = clock
        self.name = name or backend.kind
        limits = settings or (ResilienceSettings() if backend.waits else _NO_LIMITS)
        self.pipeline = None if backend.protected else Pipeline(self.name, backend.execute, limits)
        self._handler: Handler = backend.execute if self.pipeline is None else self.pipeline.call
        self.capabilities = backend.capabilities
        self.layers = tuple(layers)
        # A retry sends again what the layers have made.
        for layer in reversed(self.layers):
            self.capabilities = layer.offers(self.capabilities)
            self._handler = layer.metrics.measured(layer.around(self._handler))
        if largest is not None:
            self.capabilities = replace(self.capabilities, largest=min(largest, self.capabilities.largest))
        # Bodies in parts may be of any size.
        self._streams = self.capabilities.uploads and largest is None
        self._maker = Maker(self.name, self.capabilities, clock)
        self._value_only = not any(layer.needs_whole for layer in self.layers)

    # One entry

    def put(
        self,
        key: str,
        value: Any,
        *,
        metadata: Mapping[str, Any] | None = None,
        ttl: float | timedelta | None = None,
        media_type: str | None = None,
        vector: Vector | None = None,
        expected: str | None = None,
        if_absent: bool = False,
    ) -> Entry:
        """Store a value, replacing the one that is there; returns its entry, without the value.

        :param metadata: a JSON object of at most :data:`MAX_METADATA` bytes, by which :meth:`find` finds the entry.
        :param ttl: seconds after which the entry counts as deleted.
        :param media_type: of bytes; ``application/octet-stream`` by default.
        :param vector: numbers, as many as the store's vectors have dimensions, by which :meth:`search` finds the entry.
        :param expected: the etag that the present entry must have.
        :param if_absent: only if there is no entry.
        :raises StorageConflictError: if the present entry is not as expected.
        :raises StorageSerializationError: if the value or the metadata has no JSON form.
        :raises StorageVectorError: if the vector is not one that the store takes.
        :raises StorageCapacityError: if it is larger than the store takes.
        """
        condition = absent(expected) if if_absent else expected
        entry = self._maker.entry(key, value, metadata, ttl, media_type, vector)
        self.run(Put(entry, condition))
        return head_of(entry)

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or ``default``."""
        stored = self._fetch(Fetch(check_key(key), value_only=self._value_only))
        return default if stored is None else value_of(stored)

    def load(self, key: str) -> Any:
        """The value of a key. :raises StorageNotFoundError: if there is none."""
        return self.entry(key).value

    def entry(self, key: str) -> Entry:
        """The entry of a key. :raises StorageNotFoundError: if there is none."""
        stored = self._fetch(Fetch(check_key(key)))
        if stored is None:
            raise missing(key, backend=self.name)
        return entry_of(stored)

    def head(self, key: str) -> Entry | None:
        """The entry of a key without its value, or None."""
        stored = self._fetch(Fetch(check_key(key), head=True))
        return None if stored is None else head_of(stored)

    def preview(self, key: str) -> bytes | None:
        """The first :data:`PREVIEW` bytes of a value, JSON or the bytes themselves; None if there is none.

        A :class:`~storage.layers.size_tier.SizeTier` that is the first layer reads them without the blob.
        """
        stored = self._fetch(Fetch(check_key(key), preview=True))
        return None if stored is None else readable_body(stored)[:PREVIEW]

    def exists(self, key: str) -> bool:
        """Whether there is an entry."""
        return self._fetch(Fetch(check_key(key), head=True)) is not None

    def delete(self, key: str, *, expected: str | None = None) -> bool:
        """Delete an entry; returns whether there was one.

        :param expected: the etag that it must have.
        :raises StorageConflictError: if it has another one, or if there is none.
        """
        return bool(self.run(Remove(check_key(key), self._clock(), expected)))

    # Many entries

    def put_many(
        self,
        values: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        ttl: float | timedelta | None = None,
        media_type: str | None = None,
        vectors: Mapping[str, Vector] | None = None,
    ) -> Sequence[Entry]:
        """Store several values, all or none; all with the same options, which are those of :meth:`put`.

        :param vectors: by key.
        :raises StorageUnsupportedError: if the store has no such writes.
        """
        if not self.capabilities.batches:
            raise StorageUnsupportedError("batches", backend=self.name)
        of = vectors or {}
        if strange := of.keys() - values.keys():
            raise StorageKeyError(f"the key {shown(min(strange))} has a vector and no value")
        made = [self._maker.entry(key, value, metadata, ttl, media_type, of.get(key)) for key, value in values.items()]
        self.run(Batch(tuple(map(Put, made))))
        return [head_of(entry) for entry in made]

    def page(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> EntryPage:
        """A page of the entries whose keys begin with ``prefix``, in the order of the keys, without values.

        :param cursor: that of an earlier page.
        :param limit: how many at most, from 1 to :data:`MAX_PAGE`.
        """
        check_limit(limit)
        after = None if cursor is None else check_prefix(cursor)
        found: list[Stored] = []
        # What has expired leaves no gap.
        for stored in self._scan(check_prefix(prefix), after, limit + 1):
            found.append(stored)
            if len(found) > limit:
                return EntryPage([head_of(one) for one in found[:limit]], found[limit - 1].key)
        return EntryPage([head_of(one) for one in found])

    def keys(self, prefix: str = "") -> Iterator[str]:
        """The keys that begin with ``prefix``, in order."""
        return (entry.key for entry in self.heads(prefix))

    def heads(self, prefix: str = "") -> Iterator[Entry]:
        """All entries whose keys begin with ``prefix``, in the order of the keys, without values; read page by page."""
        return (head_of(stored) for stored in self._scan(check_prefix(prefix)))

    def count(self, prefix: str = "") -> int:
        """How many keys begin with ``prefix``."""
        return sum(1 for _ in self.keys(prefix))

    def clear(self, prefix: str = "") -> int:
        """Delete all entries whose keys begin with ``prefix``; returns their number."""
        return int(self.run(Clear(self._clock(), check_prefix(prefix))))

    def sweep(self) -> int:
        """Delete the entries that have expired; returns their number."""
        return int(self.run(Clear(self._clock(), past=True)))

    def find(self, filters: Mapping[str, Any], *, prefix: str = "", limit: int = 100) -> Sequence[Entry]:
        """The first entries, in the order of the keys, in which all ``filters`` hold.

        A damaged entry is left out, and named in the log.

        :param filters: as :mod:`storage.core.conditions` describes them.
        :param limit: how many at most, from 1 to :data:`MAX_PAGE`.
        """
        check_limit(limit)
        return list(islice(self.found(filters, prefix=prefix, at_once=limit), limit))

    def found(
        self, filters: Mapping[str, Any], *, prefix: str = "", after: str | None = None, at_once: int = _SCANNED
    ) -> Iterator[Entry]:
        """All entries in which all ``filters`` hold, as :meth:`find` returns the first ones; read as they are needed.

        :param after: only the keys behind this one.
        :param at_once: how many are read with their values at once, if they are found by their metadata.
        """
        check_filters(filters)
        bodies = not filters or needs_value(filters)
        behind = None if after is None else check_prefix(after)
        scanned = self._scan(check_prefix(prefix), behind, bodies=bodies)
        found = scanned if bodies else self._with_bodies(scanned, filters, min(at_once, _SCANNED))
        return (one for one in readable(found) if matches(filters, one.key, one.metadata, one.value))

    def search(
        self, vector: Vector, *, prefix: str = "", limit: int = 10, filters: Mapping[str, Any] | None = None
    ) -> Sequence[Entry]:
        """The entries whose vectors are most similar to ``vector``, the most similar one first, with their scores.

        Those with the same score are in the order of their keys. A damaged entry is left out, and named in the log.

        :param prefix: only entries whose keys begin with it.
        :param limit: how many at most, from 1 to :data:`MAX_PAGE`.
        :param filters: as in :meth:`find`.
        :raises StorageVectorError: if the vector is not one that the store takes.
        :raises StorageUnsupportedError: if the store has no vectors.
        """
        wanted = filters or {}
        check_filters(wanted)
        check_limit(limit)
        check_prefix(prefix)
        stored, now, first = self._maker.direction(vector), self._clock(), without_value(wanted)

        def fitting(found: Sequence[tuple[Stored, float]]) -> list[Entry]:
            entries = readable((one for one, _ in found), {one.key: score for one, score in found})
            return [one for one in entries if matches(wanted, one.key, one.metadata, one.value)]

        return first_fitting(limit, lambda most: self.run(Search(stored, now, most, first, prefix)), fitting)

    def ping(self) -> None:
        """Check that the store can be reached. :raises StorageConnectionError: if not."""
        self.run(Ping())

    def close(self) -> None:
        """Close all connections; the next call opens them again."""
        for layer in self.layers:
            layer.close()
        if self.pipeline is not None:
            self.pipeline.close()
        self.backend.close()

    def snapshot(self) -> StoreSnapshot:
        """The state and the counters of its stages, for the status page."""
        pipeline = None if self.pipeline is None else self.pipeline.snapshot()
        layers = [
            LayerSnapshot(name=layer.name, operations=layer.metrics.snapshot(), counts=dict(layer.counts))
            for layer in self.layers
        ]
        return StoreSnapshot(name=self.name, pipeline=pipeline, layers=layers)

    def _fetch(self, fetch: Fetch) -> Stored | None:
        stored: Stored | None = self.run(fetch)
        # Most entries stay; the clock is not read for them.
        if stored is None or stored.expires_at is None:
            return stored
        return None if stored.is_past(self._clock()) else stored

    def _with_bodies(self, heads: Iterable[Stored], filters: Mapping[str, Any], at_once: int) -> Iterator[Stored]:
        """The whole entries of the heads in which the filters hold; those that are damaged, too."""
        fitting = (
            head.key for head in heads if DAMAGED in head.headers or matches(filters, head.key, head.metadata, None)
        )
        while keys := tuple(islice(fitting, at_once)):
            now = self._clock()
            yield from (stored for stored in self.run(FetchMany(keys)) if not stored.is_past(now))

    def _scan(
        self, prefix: str, after: str | None = None, first: int = _SCANNED, *, bodies: bool = False
    ) -> Iterator[Stored]:
        """The entries with a prefix, in the order of their keys, page by page."""
        limit = min(first, _SCANNED_WHOLE if bodies else _SCANNED)
        while found := self.run(Scan(prefix, after, limit, bodies)):
            now = self._clock()
            yield from [stored for stored in found if not stored.is_past(now)]
            if len(found) < limit:
                return
            after = found[-1].key

    def run(self, operation: Operation) -> Any:
        """Carry out an operation through all layers; returns its value. For layers, which take stores as places."""
        try:
            return self._handler(operation, current_context.get()).value
        except CallerMissing:
            # A mistake in the program, which has nothing to do with the store.
            raise
        except DataError as error:
            made = as_storage_error(error)
            if made is error:
                raise
            raise made from error


def check_limit(limit: int, most: int = MAX_PAGE) -> None:
    """Refuse a limit that no page has. :raises StorageKeyError: says so."""
    if not 1 <= limit <= most:
        raise StorageKeyError(f"a limit must be from 1 to {most}, not {limit}")
