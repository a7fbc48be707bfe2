"""Storage through functions: the prefix of a key decides which one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.asynchronous.convex.functions import Failure
from storage.asynchronous.convex.functions import Functions
from storage.asynchronous.convex.records import EXPERIMENT
from storage.asynchronous.convex.records import RUN
from storage.asynchronous.convex.records import id_of
from storage.asynchronous.convex.records import prefix_of
from storage.asynchronous.convex.records import sent
from storage.core.errors import missing
from storage.core.keys import check_key
from storage.core.keys import check_prefix


class RoutedStorage:
    """Values that are stored and loaded by functions.

    :param functions: those of a client.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    async def save(self, key: str, value: Any) -> None:
        """Store a value. :raises StorageKeyError: if no function is for its key."""
        call = sent(key, value)
        await self._functions.data(call.function, **call.arguments)

    async def load(self, key: str) -> Any:
        """The value of a key. :raises StorageNotFoundError: if there is none."""
        prefix = prefix_of(key)
        try:
            if prefix == EXPERIMENT:
                data = await self._functions.data("get_experiment", id_of(key))
            elif prefix == RUN:
                data = await self._functions.data("get_optimization_run", id_of(key))
            else:
                data = await self._functions.data("get_rl_data_by_key", key)
        except Failure as error:
            if "not found" not in error.reason.lower():
                raise
            data = None
        if data is None:
            raise missing(key, backend="convex")
        return data["rl_episode_data"] if isinstance(data, Mapping) and "rl_episode_data" in data else data

    async def exists(self, key: str) -> bool:
        """Whether there is a value. :raises StorageError: if that cannot be known."""
        try:
            await self.load(key)
        except KeyError:
            return False
        return True

    async def delete(self, key: str) -> None:
        """Delete a value. :raises StorageUnsupportedError: without a function ``delete_by_key``."""
        await self._functions.data("delete_by_key", check_key(key))

    async def list_keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with a prefix. :raises StorageUnsupportedError: without a function ``list_keys``."""
        return sorted(await self._functions.data("list_keys", check_prefix(prefix)))

    async def count_keys(self, prefix: str = "") -> int:
        """How many keys begin with a prefix. :raises StorageUnsupportedError: as :meth:`list_keys`."""
        return len(await self.list_keys(prefix))

    async def clear(self, prefix: str = "") -> int:
        """Delete what begins with a prefix. :raises StorageUnsupportedError: as :meth:`list_keys`."""
        keys = await self.list_keys(prefix)
        for key in keys:
            await self.delete(key)
        return len(keys)

    async def close(self) -> None:
        """The client belongs to its owner."""
