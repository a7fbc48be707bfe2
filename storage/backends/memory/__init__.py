"""Entries in the memory of this process, for tests and caches: the oldest unused ones give way."""

from __future__ import annotations

import sys
from bisect import bisect_left
from bisect import bisect_right
from bisect import insort
from collections import OrderedDict
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING
from typing import Any
from typing import ClassVar

import orjson

from database.core.context import Context
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Batch
from storage.core.backend import StoreBackend
from storage.core.backend import require_etag
from storage.core.backend import require_expected
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import Stored
from storage.core.errors import StorageUnsupportedError
from storage.core.keys import after_all
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.operations import Search
from storage.core.vectors.searching import first_fitting
from storage.core.vectors.searching import fits

if TYPE_CHECKING:
    from storage.core.vectors.directions import Directions

MOST_BYTES = 256 << 20
_OVERHEAD = 500
"""Bytes that an entry takes beside its body, about."""


class _Order:
    """The keys in order. They are sorted when somebody asks for the order: a cache is not made slower by it."""

    _FEW = 32

    def __init__(self) -> None:
        self._sorted: list[str] = []
        self._unsorted: dict[str, None] = {}

    def add(self, key: str) -> None:
        self._unsorted[key] = None

    def discard(self, key: str) -> None:
        if key in self._unsorted:
            del self._unsorted[key]
        else:
            del self._sorted[bisect_left(self._sorted, key)]

    def between(self, prefix: str, after: str | None, limit: int) -> list[str]:
        """The first keys with the prefix, behind ``after``."""
        self._sort()
        first = bisect_left(self._sorted, prefix)
        if after is not None:
            first = max(first, bisect_right(self._sorted, after))
        end = after_all(prefix)
        last = len(self._sorted) if end is None else bisect_left(self._sorted, end)
        return self._sorted[first : min(last, first + limit)]

    def _sort(self) -> None:
        if len(self._unsorted) <= self._FEW:
            for key in self._unsorted:
                insort(self._sorted, key)
        else:
            self._sorted = sorted([*self._sorted, *self._unsorted])
        self._unsorted.clear()


class MemoryEntries(StoreBackend):
    """A dictionary, and the order of its keys.

    :param most_bytes: what all entries may take together. Then the one that was not used for longest gives way.
    :param most_entries: the largest number of entries; None for any.
    :param dimensions: of the vectors; without them, there are none.
    """

    kind: ClassVar[str] = "memory"
    capabilities = StoreCapabilities(durable=False, shared=False, batches=True)
    waits: ClassVar[bool] = False

    def __init__(
        self, most_bytes: int = MOST_BYTES, most_entries: int | None = None, dimensions: int | None = None
    ) -> None:
        self.capabilities = replace(self.capabilities, dimensions=dimensions)
        self._most_bytes = most_bytes
        self._most_entries = most_entries or sys.maxsize
        self._entries: OrderedDict[str, Stored] = OrderedDict()
        self._order = _Order()
        self._bytes = 0
        # What each entry takes beside its key and its body.
        self._overhead = _OVERHEAD + 4 * (dimensions or 0)
        # The vectors are here, and not in the entries.
        self._directions = None if dimensions is None else _directions(dimensions)
        self._create_runtime_state()
        rebuild_after_fork(self, MemoryEntries._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._lock = Lock()

    def put(self, put: Put, context: Context) -> None:
        with self._lock:
            self._put(put)

    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        with self._lock:
            entry = self._entries.get(fetch.key)
            if entry is not None:
                self._entries.move_to_end(fetch.key)
                whole = entry if fetch.head or self._directions is None else self._whole(entry)
                return _given_out(whole, body=not fetch.head)
        return None

    def remove(self, remove: Remove, context: Context) -> bool:
        with self._lock:
            return self._remove(remove)

    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        with self._lock:
            found = [self._entries[key] for key in self._order.between(scan.prefix, scan.after, scan.limit)]
            if scan.bodies:
                found = [self._whole(entry) for entry in found]
        return [_given_out(entry, body=scan.bodies) for entry in found]

    def search(self, search: Search, context: Context) -> list[tuple[Stored, float]]:
        directions = self._directions
        if directions is None:
            return super().search(search, context)

        def fitting(found: Sequence[tuple[str, float]]) -> list[tuple[Stored, float]]:
            entries = ((self._entries[key], score) for key, score in found)
            return [
                (_given_out(self._whole(entry), body=True), score) for entry, score in entries if fits(search, entry)
            ]

        with self._lock:
            among = self._order.between(search.prefix, None, sys.maxsize) if search.prefix else None
            return first_fitting(search.limit, lambda most: directions.best(search.vector, most, among=among), fitting)

    def batch(self, batch: Batch, context: Context) -> list[Any]:
        with self._lock:
            undo: list[tuple[str, Stored | None]] = []
            try:
                return [self._part(part, undo) for part in batch.operations]
            except BaseException:
                for key, entry in reversed(undo):
                    self._restore(key, entry)
                raise

    def describe(self) -> Mapping[str, Any]:
        return {"entries": len(self._entries), "bytes": self._bytes, "most_bytes": self._most_bytes}

    def _part(self, part: object, undo: list[tuple[str, Stored | None]]) -> Any:
        if isinstance(part, Put):
            undo.append((part.entry.key, self._present(part.entry.key)))
            return self._put(part)
        if isinstance(part, Remove):
            undo.append((part.key, self._present(part.key)))
            return self._remove(part)
        raise StorageUnsupportedError("reads in a batch", backend=self.kind)

    def _restore(self, key: str, entry: Stored | None) -> None:
        if key in self._entries:
            self._drop(key)
        if entry is not None:
            self._put(Put(entry))

    def _present(self, key: str) -> Stored | None:
        entry = self._entries.get(key)
        return None if entry is None else self._whole(entry)

    def _whole(self, entry: Stored) -> Stored:
        """The entry with its vector."""
        if self._directions is None or entry.key not in self._directions:
            return entry
        return entry._replace(vector=self._directions.get(entry.key))

    def _put(self, put: Put) -> None:
        entry = put.entry
        present = self._entries.get(entry.key)
        if put.expected is not None:
            require_expected(present, put, self.kind)
        if present is None:
            self._order.add(entry.key)
            self._bytes += self._size(entry)
        else:
            self._bytes += len(entry.body) - len(present.body)
            self._entries.move_to_end(entry.key)
        if self._directions is not None:
            self._directions.set(entry.key, entry.vector)
            entry = entry._replace(vector=b"")
        self._entries[entry.key] = entry
        while self._bytes > self._most_bytes or len(self._entries) > self._most_entries:
            self._drop(next(iter(self._entries)))

    def _remove(self, remove: Remove) -> bool:
        present = self._entries.get(remove.key)
        require_etag(present, remove, self.kind)
        if present is None:
            return False
        self._drop(remove.key)
        return not present.is_past(remove.now)

    def _drop(self, key: str) -> None:
        self._bytes -= self._size(self._entries.pop(key))
        self._order.discard(key)
        if self._directions is not None:
            self._directions.discard(key)

    def _size(self, entry: Stored) -> int:
        return self._overhead + len(entry.body) + 2 * len(entry.key)


def _directions(dimensions: int) -> Directions:
    from storage.core.vectors.directions import Directions  # noqa: PLC0415  # NumPy is loaded where there are vectors

    return Directions(dimensions)


def _given_out(entry: Stored, *, body: bool) -> Stored:
    """The entry with metadata of its own, which a caller may change."""
    key, etag, whole, size, headers, own, stored_at, expires_at, vector = entry
    metadata = orjson.loads(orjson.dumps(own)) if own else {}
    # Made for every read; the generated constructor, and _replace(), would take several times as long.
    return tuple.__new__(
        Stored, (key, etag, whole if body else b"", size, headers, metadata, stored_at, expires_at, vector)
    )
