"""The asynchronous face of a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import TypeVar

from storage.core.store import Store

Self = TypeVar("Self", bound="StoreFace")
_Answer = TypeVar("_Answer")


class StoreFace:
    """A store whose methods are awaited. They run in threads, so that the event loop goes on meanwhile.

    A method that is cancelled is carried out nevertheless; its answer is lost.

    :param store: what it is a face of.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def store(self) -> Store:
        """What it is a face of."""
        return self._store

    async def load(self, key: str) -> Any:
        """The value of a key. :raises StorageNotFoundError: if there is none; it is a ``KeyError``."""
        return await self._run(lambda: self._store.load(key))

    async def exists(self, key: str) -> bool:
        """Whether there is a value. :raises StorageError: if that cannot be known."""
        return await self._run(lambda: self._store.exists(key))

    async def list_keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with ``prefix``, in order."""
        return await self._run(lambda: list(self._store.keys(prefix)))

    async def count_keys(self, prefix: str = "") -> int:
        """How many keys begin with ``prefix``."""
        return await self._run(lambda: self._store.count(prefix))

    async def clear(self, prefix: str = "") -> int:
        """Delete all values whose keys begin with ``prefix``; returns their number."""
        return await self._run(lambda: self._store.clear(prefix))

    async def find(self, filters: Mapping[str, Any], prefix: str = "", limit: int = 100) -> list[Any]:
        """The values in which all ``filters`` hold, in the order of their keys.

        :param filters: by paths, such as ``{"data.agent_id": "a1"}``.
        :param limit: how many at most, from 1 to 1,000.
        """
        return await self._run(lambda: [entry.value for entry in self._store.find(filters, prefix=prefix, limit=limit)])

    async def close(self) -> None:
        """Close all connections; the next call opens them again."""
        await self._run(self._store.close)

    async def __aenter__(self: Self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, work: Callable[[], _Answer]) -> _Answer:
        return await asyncio.to_thread(work)


class AsyncStorage(StoreFace):
    """A store whose methods are awaited, with those of ``StorageProtocol``.

    :param store: what it is a face of.
    :param ttl_seconds: the time to live of what is saved.
    """

    def __init__(self, store: Store, ttl_seconds: float | None = None) -> None:
        super().__init__(store)
        self._ttl = ttl_seconds

    async def save(self, key: str, value: Any) -> None:
        """Store a value, replacing the one that is there.

        :raises StorageSerializationError: if it has no JSON form, and is no bytes either.
        """
        await self._run(lambda: self._store.put(key, value, ttl=self._ttl))

    async def delete(self, key: str) -> None:
        """Delete a value, if there is one."""
        await self._run(lambda: self._store.delete(key))
