"""The base class of providers: what a data manager stores in."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Awaitable
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from storage.core.errors import StorageError
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import shown
from storage.manager.awaiting import resolved


@dataclass(frozen=True, slots=True)
class StorageResult:
    """What became of a write.

    :ivar key: under which the data is stored.
    :ivar error: why it is not, for people.
    :ivar version: names what was stored; None if the provider has no versions.
    """

    success: bool
    key: str
    error: str | None = None
    version: str | None = None


class BaseStorageProvider(ABC):
    """A place in which a data manager stores data. Each method may be ``async``.

    :param name: its name in messages.
    """

    name = "provider"

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult | Awaitable[StorageResult]:
        """Store data, replacing what is there."""

    @abstractmethod
    def retrieve(self, key: str) -> Any:
        """The data under a key. :raises KeyError: if there is none."""

    @abstractmethod
    def delete(self, key: str) -> bool | Awaitable[bool]:
        """Delete what is under a key; returns whether there was something."""

    def store_if(
        self,
        key: str,
        data: Any,
        metadata: dict[str, Any],
        *,
        expected: str | None = None,
        if_absent: bool = False,
    ) -> StorageResult | Awaitable[StorageResult]:
        """Store data if what is there has the expected version, or if there is nothing.

        :raises StorageConflictError: if not.
        """
        raise StorageUnsupportedError("versions", backend=self.name)

    def query(self, filters: dict[str, Any], limit: int) -> Any:
        """A list of the data in which all ``filters`` hold.

        :param filters: values by their paths, such as ``metadata.category``.
        """
        raise StorageUnsupportedError("queries", backend=self.name)

    def search(self, query_vector: Any, limit: int, filters: dict[str, Any] | None) -> Any:
        """A list of pairs of data and a score, that with the most similar vector first."""
        raise StorageUnsupportedError("vectors", backend=self.name)

    def health_check(self) -> Any:  # noqa: B027 - some have nothing to do here
        """Check that the place can be reached; returns or raises. ``False`` means that it cannot."""

    def undoable(self, key: str) -> UndoableWrite:
        """Writes to a key that can be undone. They remember what is there now."""
        return _PlainWrite(self, key)

    def close(self) -> Any:  # noqa: B027
        """Close all connections; the next call opens them again."""


class UndoableWrite(ABC):
    """Writes to one key, which are undone by putting back what was there before the first of them."""

    @abstractmethod
    def store(self, data: Any, metadata: Mapping[str, Any], condition: Mapping[str, Any]) -> StorageResult:
        """Store data in the place of what is there.

        :param condition: the options of :meth:`BaseStorageProvider.store_if`; none if there is no condition.
        """

    @abstractmethod
    def delete(self) -> bool:
        """Delete what is there."""

    @abstractmethod
    def undo(self) -> None:
        """Put back what was there. :raises StorageConflictError: if somebody else has changed it in the meantime."""

    def follow(self, other: UndoableWrite) -> None:  # noqa: B027 - some do not notice other writes
        """Take what another one has left there as one's own."""


class _PlainWrite(UndoableWrite):
    """For providers that only store, retrieve and delete: the metadata that they had is not put back, and a write of
    somebody else in the meantime is not noticed.
    """

    def __init__(self, provider: BaseStorageProvider, key: str) -> None:
        self._provider = provider
        self._key = key
        self._before: list[Any] = []
        # StorageNotFoundError is a KeyError, too.
        with suppress(KeyError):
            self._before.append(resolved(provider.retrieve(key)))

    def store(self, data: Any, metadata: Mapping[str, Any], condition: Mapping[str, Any]) -> StorageResult:
        return written(self._provider, self._key, data, metadata, condition)

    def delete(self) -> bool:
        return bool(resolved(self._provider.delete(self._key)))

    def undo(self) -> None:
        if self._before:
            written(self._provider, self._key, self._before[0], {}, {})
        else:
            self.delete()


def written(
    provider: BaseStorageProvider, key: str, data: Any, metadata: Mapping[str, Any], condition: Mapping[str, Any]
) -> StorageResult:
    """Store data.

    :param condition: the options of :meth:`BaseStorageProvider.store_if`; none if there is no condition.
    :raises StorageError: if the provider says that it has not stored it.
    """
    given = dict(metadata)
    stored = provider.store_if(key, data, given, **condition) if condition else provider.store(key, data, given)
    result = resolved(stored)
    if not isinstance(result, StorageResult):
        raise StorageError(
            f"the provider {provider.name!r} must return a StorageResult, not {type(result).__name__}",
            backend=provider.name,
        )
    if not result.success:
        reason = result.error or "it gave no reason"
        raise StorageError(
            f"the provider {provider.name!r} did not store {shown(key)}: {reason}", backend=provider.name
        )
    return result
