"""The base class of the backends of stores: each keeps entries in one place, and knows nothing of values and layers."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from typing import ClassVar
from typing import Final

from database.core.context import Context
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.result import Result
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import ABSENT
from storage.core.entry import Stored
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import changed
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Link
from storage.core.operations import Put
from storage.core.operations import Read
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.operations import Search
from storage.core.operations import Upload

_METHODS: Final[Mapping[type[Operation], str]] = {
    kind: kind.kind for kind in (Put, Fetch, FetchMany, Remove, Scan, Clear, Batch, Search, Read, Upload, Link, Ping)
}
"""The methods that carry out the operations."""


class StoreBackend(ABC):
    """A place for entries.

    A backend is thread-safe. What it raises is a ``StorageError``, or another exception of the data layer.

    :cvar kind: its name in errors, metrics and settings.
    :cvar protected: whether its calls pass through a pipeline of their own already, with retries and circuit breaker.
    :cvar waits: whether a call can wait, for a network or a disk; otherwise its time and number need no limits.
    """

    kind: ClassVar[str]
    capabilities: StoreCapabilities = StoreCapabilities()
    protected: ClassVar[bool] = False
    waits: ClassVar[bool] = True

    def execute(self, operation: Operation, context: Context) -> Result:
        """Carry out one operation, which is atomic. The value of the result is that of the operation's method."""
        method = _METHODS.get(type(operation))
        if method is None:
            raise StorageUnsupportedError(operation.kind, backend=self.kind)
        return Result([], value=getattr(self, method)(operation, context))

    @abstractmethod
    def put(self, put: Put, context: Context) -> None:
        """Store an entry. :raises StorageConflictError: if the present one is not as expected."""

    @abstractmethod
    def fetch(self, fetch: Fetch, context: Context) -> Stored | None:
        """The entry, also one that has expired and is still there."""

    def fetch_many(self, fetch: FetchMany, context: Context) -> list[Stored]:
        """The entries of several keys, in their order."""
        found = (self.fetch(Fetch(key), context) for key in fetch.keys)
        return [entry for entry in found if entry is not None]

    @abstractmethod
    def remove(self, remove: Remove, context: Context) -> bool:
        """Delete an entry; returns whether there was one that had not expired.

        :raises StorageConflictError: if it is not as expected, or if one was expected and there is none.
        """

    @abstractmethod
    def scan(self, scan: Scan, context: Context) -> list[Stored]:
        """Entries in the order of their keys, also those that have expired and are still there."""

    def clear(self, clear: Clear, context: Context) -> int:
        """Delete the entries whose keys begin with a prefix."""
        number, after = 0, None
        while found := self.scan(Scan(clear.prefix, after, _PAGE), context):
            number += sum([self._cleared(entry, clear, context) for entry in found])
            if len(found) < _PAGE:
                break
            after = found[-1].key
        return number

    def _clear_together(
        self, clear: Clear, context: Context, at_once: int, delete: Callable[[Sequence[Stored]], object]
    ) -> int:
        """As :meth:`clear`, where many entries can be deleted at once, whatever they are by then."""
        number, after = 0, None
        while found := self.scan(Scan(clear.prefix, after, at_once), context):
            delete(found)
            number += sum(not entry.is_past(clear.now) for entry in found)
            after = found[-1].key
        return number

    def _cleared(self, entry: Stored, clear: Clear, context: Context) -> bool:
        if not clear.past:
            return self.remove(Remove(entry.key, clear.now), context)
        if not entry.is_past(clear.now):
            return False
        # Somebody may have stored another one in the meantime.
        with suppress(StorageConflictError):
            self.remove(Remove(entry.key, clear.now, entry.etag), context)
            return True
        return False

    def batch(self, batch: Batch, context: Context) -> list[Any]:
        """Carry out all writes or none."""
        raise StorageUnsupportedError("batches", backend=self.kind)

    def search(self, search: Search, context: Context) -> list[tuple[Stored, float]]:
        """The entries with the most similar vectors, the most similar one first."""
        raise StorageUnsupportedError("vectors", backend=self.kind)

    def read(self, read: Read, context: Context) -> Stored | None:
        """The entry with a part of its body, also one that has expired and is still there."""
        raise StorageUnsupportedError("uploads", backend=self.kind)

    def upload(self, upload: Upload, context: Context) -> int:
        """Store an entry whose body comes in chunks; its size. :raises StorageConflictError: as :meth:`put`."""
        raise StorageUnsupportedError("uploads", backend=self.kind)

    def link(self, link: Link, context: Context) -> str | None:
        """A URL that reads the body of an entry; None if there is no entry."""
        raise StorageUnsupportedError("links", backend=self.kind)

    def ping(self, ping: Ping, context: Context) -> None:  # noqa: B027 - some have nothing to do here
        """Check that the place can be reached."""

    def close(self) -> None:  # noqa: B027
        """Close all connections; the next call opens them again."""

    def describe(self) -> Mapping[str, Any]:
        """Where it is, without secrets."""
        return {}


_PAGE = 500


def require_expected(present: Stored | None, put: Put, backend: str) -> None:
    """Check the condition of a write. :raises StorageConflictError: if ``present`` is not as the writer expected."""
    if put.expected is None:
        return
    etag = ABSENT if present is None or present.is_past(put.entry.stored_at) else present.etag
    # The write's own etag: it was sent before, and its answer was lost.
    if etag not in {put.expected, put.entry.etag}:
        raise changed(put.entry.key, absent=put.expected == ABSENT, backend=backend)


def require_etag(present: Stored | None, remove: Remove, backend: str) -> None:
    """Check the condition of a deletion. :raises StorageConflictError: if ``present`` is not as expected."""
    if remove.expected is not None and (present is None or present.etag != remove.expected):
        raise changed(remove.key, absent=False, backend=backend)
