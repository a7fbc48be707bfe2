"""Storage through functions: the prefix of a key decides which one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

from storage.asynchronous.convex.functions import Failure
from storage.asynchronous.convex.functions import Functions
from storage.asynchronous.convex.records import COMPLETE
from storage.asynchronous.convex.records import EXPERIMENT
from storage.asynchronous.convex.records import RUN
from storage.asynchronous.convex.records import RUN_NAMES
from storage.asynchronous.convex.records import Sent
from storage.asynchronous.convex.records import id_of
from storage.asynchronous.convex.records import loaded
from storage.asynchronous.convex.records import prefix_of
from storage.asynchronous.convex.records import sent
from storage.core.errors import StorageNotFoundError
from storage.core.errors import missing
from storage.core.keys import check_key
from storage.core.keys import check_prefix

_GETTERS: Final = {EXPERIMENT: "get_experiment", RUN: "get_optimization_run"}


def getter_of(key: str) -> str:
    """The name of the function that loads the value of a key."""
    return _GETTERS.get(prefix_of(key), "get_rl_data_by_key")


class RoutedStorage:
    """Values that are stored and loaded by functions.

    :param functions: those of a client.
    """

    def __init__(self, functions: Functions) -> None:
        self._functions = functions

    async def save(self, key: str, value: Any) -> None:
        """Store a value.

        :raises StorageKeyError: if no function is for its key.
        :raises StorageSerializationError: if the function for it has no place for a part of the value; names it.
        """
        call = sent(key, value)
        if call.function == COMPLETE:
            call = await self._started(key, call)
        await self._functions.data(call.function, **call.arguments)

    async def _started(self, key: str, call: Sent) -> Sent:
        """The call that completes a run, without the names that its function does not take.

        The run has these by then: it is started with them, unless it already was.
        """
        refused = self._functions.not_taken(call.function, RUN_NAMES)
        names = {name: call.arguments[name] for name in refused if name in call.arguments}
        rest = {name: part for name, part in call.arguments.items() if name not in names}
        # Before the run is started: what cannot be completed is left as it is.
        self._functions.require(call.function, rest)
        if names:
            await self._start(key, names)
        return Sent(call.function, rest)

    async def _start(self, key: str, names: Mapping[str, Any]) -> None:
        """Start a run, unless there is one of these names."""
        try:
            present = await self.load(key)
        except StorageNotFoundError:
            present = {}
        if any(present.get(name) != part for name, part in names.items()):
            kept = {name: present[name] for name in RUN_NAMES if name in present}
            start = sent(key, {**kept, **names})
            await self._functions.data(start.function, **start.arguments)

    async def load(self, key: str) -> Any:
        """The value of a key. :raises StorageNotFoundError: if there is none."""
        id_ = id_of(key) if prefix_of(key) in _GETTERS else key
        try:
            data = await self._functions.data(getter_of(key), id_)
        except Failure as error:
            if "not found" not in error.reason.lower():
                raise
            data = None
        if data is None:
            raise missing(key, backend="convex")
        return loaded(key, data)

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
