"""A store as a provider: the other providers say which store, and how it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

from database.core.clock import utc_now
from storage.core.documents import from_json
from storage.core.documents import to_json
from storage.core.entry import Entry
from storage.core.errors import StorageNotFoundError
from storage.core.errors import changed
from storage.core.store import Store
from storage.manager.provider import BaseStorageProvider
from storage.manager.provider import StorageResult
from storage.manager.provider import UndoableWrite

VECTOR: Final = "vector"
"""The part of the data that is its vector, in a store that has vectors."""

_GONE: Final = object()

TTL: Final = "ttl"
"""The metadata with the seconds after which an entry counts as deleted."""


class StoreProvider(BaseStorageProvider):
    """A provider over any store.

    :param store: what it is a face of.
    :param name: its name in messages; that of the store by default.
    """

    def __init__(self, store: Store, name: str | None = None) -> None:
        super().__init__(name or store.name)
        self._store = store

    def store(self, key: str, data: Any, metadata: Mapping[str, Any]) -> StorageResult:
        """Store data.

        :param data: a value, or bytes. Its ``vector`` is that of the entry, if it is a dictionary, and the store has
            vectors.
        :param metadata: as in :meth:`Store.put`; ``ttl`` is the number of seconds after which the entry counts as
            deleted.
        """
        return self.store_if(key, data, metadata)

    def store_if(
        self,
        key: str,
        data: Any,
        metadata: Mapping[str, Any],
        *,
        expected: str | None = None,
        if_absent: bool = False,
    ) -> StorageResult:
        plain, vector = self.with_vector(data)
        entry = self._store.put(
            key,
            plain,
            metadata=metadata,
            ttl=metadata.get(TTL),
            expected=expected,
            if_absent=if_absent,
            vector=vector,
        )
        return StorageResult(success=True, key=key, version=entry.etag)

    def with_vector(self, data: Any) -> tuple[Any, Any]:
        """Data as it is stored, and the vector in it by which it is found, if the store has vectors."""
        if self._store.capabilities.dimensions is None or not isinstance(data, Mapping) or VECTOR not in data:
            return data, None
        # An array of NumPy, as models return it, is a list in JSON.
        vector = data[VECTOR].tolist() if hasattr(data[VECTOR], "tolist") else data[VECTOR]
        return {**data, VECTOR: vector}, vector

    def retrieve(self, key: str) -> Any:
        return self._store.load(key)

    def delete(self, key: str) -> bool:
        return self._store.delete(key)

    def query(self, filters: dict[str, Any], limit: int) -> list[Any]:
        return [entry.value for entry in self._store.find(filters, limit=limit)]

    def search(self, query_vector: Any, limit: int, filters: dict[str, Any] | None) -> list[tuple[Any, float]]:
        found = self._store.search(query_vector, limit=limit, filters=filters)
        return [(entry.value, entry.score or 0.0) for entry in found]

    def health_check(self) -> None:
        self._store.ping()

    def describe(self) -> Mapping[str, Any]:
        """Where the data is, without secrets."""
        return self._store.backend.describe()

    def undoable(self, key: str) -> UndoableWrite:
        return _StoreWrite(self, self._store, key)

    def close(self) -> None:
        self._store.close()


class _StoreWrite(UndoableWrite):
    """Writes on condition that nobody else has written, undone on the same condition.

    :ivar _etag: of what is there, as far as is known; None if nothing is.
    :ivar _tried: the data of a write that has no answer; ``_GONE`` for a deletion.
    """

    def __init__(self, provider: StoreProvider, store: Store, key: str) -> None:
        self._provider = provider
        self._store = store
        self._key = key
        self._before = self._now()
        self._etag = _etag(self._before)
        self._tried: list[Any] = []

    def store(self, data: Any, metadata: Mapping[str, Any], condition: Mapping[str, Any]) -> StorageResult:
        if condition.get("expected") not in {None, self._etag}:
            raise changed(self._key, absent=False, backend=self._provider.name)
        self._tried = [_as_read(self._provider.with_vector(data)[0])]
        result = self._provider.store_if(self._key, data, metadata, **(condition or self._while_it_is(self._etag)))
        self._etag, self._tried = result.version, []
        return result

    def delete(self) -> bool:
        if self._etag is None:
            return False
        self._tried = [_GONE]
        there = self._store.delete(self._key, expected=self._while_it_is(self._etag).get("expected"))
        self._etag, self._tried = None, []
        return there

    def undo(self) -> None:
        now, before = self._now(), self._before
        etag = _etag(now)
        if etag == _etag(before):
            return
        if etag != self._etag and [_GONE if now is None else now.value] != self._tried:
            raise changed(self._key, absent=False, backend=self._provider.name)
        condition = self._while_it_is(etag)
        if before is not None and not _is_past(before):
            self._etag = self._put_back(before, condition)
        else:
            if now is not None:
                self._store.delete(self._key, expected=condition.get("expected"))
            self._etag = None

    def follow(self, other: UndoableWrite) -> None:
        assert isinstance(other, _StoreWrite)
        self._etag = other._etag

    def _now(self) -> Entry | None:
        try:
            return self._store.entry(self._key)
        except StorageNotFoundError:
            return None

    def _while_it_is(self, etag: str | None) -> dict[str, Any]:
        """The condition that the entry is still there, or that there is still none."""
        if not self._store.capabilities.versions:
            return {}
        return {"if_absent": True} if etag is None else {"expected": etag}

    def _put_back(self, before: Entry, condition: Mapping[str, Any]) -> str:
        entry = self._store.put(
            self._key,
            before.value,
            metadata=before.metadata,
            ttl=None if before.expires_at is None else before.expires_at - utc_now(),
            media_type=before.media_type,
            vector=before.vector,
            **condition,
        )
        return entry.etag


def _etag(entry: Entry | None) -> str | None:
    return None if entry is None else entry.etag


def _is_past(entry: Entry) -> bool:
    return entry.expires_at is not None and entry.expires_at <= utc_now()


def _as_read(data: Any) -> Any:
    """The data as a store returns it: a tuple has become a list."""
    return bytes(data) if isinstance(data, bytes | bytearray | memoryview) else from_json(to_json(data))
