"""Bodies in parts: written from chunks and read in ranges. Those of a store with uploads need not fit in memory.

Other stores hold a body in memory as a whole, and so does one with a layer that changes bodies.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from typing import Final

from database.core.operations import Operation
from storage.core.entry import DAMAGED
from storage.core.entry import Entry
from storage.core.entry import Stored
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageCorruptError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import changed
from storage.core.errors import missing
from storage.core.keys import check_key
from storage.core.making import Maker
from storage.core.operations import Fetch
from storage.core.operations import Link
from storage.core.operations import Put
from storage.core.operations import Read
from storage.core.operations import Upload
from storage.core.values import absent
from storage.core.values import head_of

PART: Final = 4 << 20
"""How many bytes of a stream are read at once."""

LONGEST_LINK: Final = 7 * 86_400
"""Seconds that a link lasts at most."""


class Streaming(ABC):
    """What a store does with bodies in parts.

    :ivar name: of the store, for messages.
    """

    name: str
    _maker: Maker
    _streams: bool

    @abstractmethod
    def run(self, operation: Operation) -> Any:
        """Carry out an operation; its value."""

    @property
    def in_parts(self) -> bool:
        """Whether bodies may be of any size, because they are written and read in parts."""
        return self._streams

    def upload(
        self,
        key: str,
        chunks: Iterable[bytes],
        *,
        metadata: Mapping[str, Any] | None = None,
        ttl: float | timedelta | None = None,
        media_type: str | None = None,
        expected: str | None = None,
        if_absent: bool = False,
    ) -> Entry:
        """Store the bytes of ``chunks``, with the options of ``put``; nothing is stored if they end with an exception.

        It is tried once, because chunks can be read once.
        """
        condition = absent(expected) if if_absent else expected
        entry = self._maker.entry(key, b"", metadata, ttl, media_type, None)
        if self._streams:
            size = self.run(Upload(entry, iter(chunks), condition))
            return replace(head_of(entry), size=size)
        body = self._collected(chunks)
        entry = entry._replace(body=body, size=len(body))
        self.run(Put(entry, condition))
        return head_of(entry)

    def read(self, key: str, start: int = 0, stop: int | None = None, *, expected: str | None = None) -> Entry:
        """The entry of a key with some bytes of its body as value: those of JSON, if it is a value of JSON.

        :param start: the first byte; behind the last one, there are none. ``size`` says how many there are.
        :param stop: the one behind the last byte; all are read by default.
        :param expected: the etag that the entry must have.
        :raises StorageNotFoundError: if there is none.
        :raises StorageConflictError: if it has another etag.
        """
        if start < 0 or (stop is not None and stop < start):
            raise StorageKeyError(f"a range of bytes must begin at 0 or later and end behind, not {start} to {stop}")
        found = self._part(check_key(key), start, stop)
        if found is None or found.is_past(self._maker.clock()):
            raise missing(key, backend=self.name)
        if expected is not None and found.etag != expected:
            raise changed(key, absent=False, backend=self.name)
        if DAMAGED in found.headers:
            raise StorageCorruptError(key, found.headers[DAMAGED])
        return replace(head_of(found), value=found.body)

    def stream(
        self, key: str, start: int = 0, stop: int | None = None, *, expected: str | None = None
    ) -> tuple[Entry, Iterator[bytes]]:
        """The entry of a key without its value, and an iterator over the bytes of its body, all of this one version.

        The parameters and errors are those of :meth:`read`. The iterator raises ``StorageConflictError`` if the entry
        is replaced before all has been read.
        """
        end = stop
        if self._streams:
            end = start + PART if stop is None else min(start + PART, stop)
        first = self.read(key, start, end, expected=expected)
        last = first.size if stop is None else min(stop, first.size)
        return replace(first, value=None), self._rest(first, start, last)

    def link(self, key: str, seconds: int = 3_600) -> str:
        """A URL by which anybody can read the body of an entry.

        :param seconds: how long, from 1 to :data:`LONGEST_LINK`.
        :raises StorageNotFoundError: if there is no entry.
        :raises StorageUnsupportedError: if the store has no such URLs, or a layer that changes bodies.
        """
        if not self._streams:
            raise StorageUnsupportedError("links", backend=self.name)
        if not 1 <= seconds <= LONGEST_LINK:
            raise StorageKeyError(f"a link must last from 1 to {LONGEST_LINK:,} seconds, not {seconds}")
        url = self.run(Link(check_key(key), self._maker.clock(), seconds))
        if url is None:
            raise missing(key, backend=self.name)
        return str(url)

    def _part(self, key: str, start: int, stop: int | None) -> Stored | None:
        if self._streams:
            part: Stored | None = self.run(Read(key, start, stop))
            return part
        whole: Stored | None = self.run(Fetch(key))
        return None if whole is None else whole._replace(body=whole.body[start:stop])

    def _rest(self, first: Entry, start: int, stop: int) -> Iterator[bytes]:
        part = first
        while part.value:
            yield part.value
            start += len(part.value)
            if start >= stop:
                return
            part = self.read(first.key, start, min(start + PART, stop), expected=first.etag)

    def _collected(self, chunks: Iterable[bytes]) -> bytes:
        body = bytearray()
        largest = self._maker.capabilities.largest
        for chunk in chunks:
            body += chunk
            if len(body) > largest:
                raise StorageCapacityError(f"the value has more than the {largest:,} bytes that {self.name} takes")
        return bytes(body)
