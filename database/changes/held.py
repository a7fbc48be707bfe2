"""The records of a watched result: for each its address and a digest of its row, in about 30 bytes."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterator
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any
from typing import Final

import orjson

from database.changes.budget import Share
from database.core.errors import InvalidQuery
from database.core.kinds.json_forms import json_form

_DIGEST: Final = 8
_TAIL: Final = _DIGEST + 1
"""Bytes of an entry after the address: the digest and the mark."""

_SEED: Final = os.urandom(16)
"""So that nobody can make two rows with one digest."""

_UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_UUID_LENGTH: Final = 36

_MOST_ENTRIES: Final = 128
"""Entries of a chunk. More would take longer to search, fewer would cost more memory."""

_OVERHEAD: Final = 160
"""Bytes of a chunk without its entries."""

Kind = tuple[int, bool]
"""The bytes of a packed address, and whether it is a UUID."""


class TooMuchHeld(InvalidQuery):
    """A subscription has more records than the memory of all subscriptions has room for."""


def row_digest(row: Mapping[str, Any]) -> tuple[bytes, int]:
    """A digest of a row, valid in this process, and the size of the row in bytes of JSON."""
    text = orjson.dumps(row, json_form, orjson.OPT_SORT_KEYS)
    return blake2b(text, digest_size=_DIGEST, key=_SEED).digest(), len(text)


class HeldRecords:
    """Digests by address, with a mark for each. Not thread-safe.

    :param share: the memory for it.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._all: dict[Kind, _Entries] = {}
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, address: str) -> bool:
        kind, packed = _packed(address)
        entries = self._all.get(kind)
        return entries is not None and entries.find(packed) is not None

    def put(self, address: str, digest: bytes) -> bytes | None:
        """Hold a record, with a mark. :returns: its digest until now; None for a new record.

        :raises TooMuchHeld: if there is no memory for a new record.
        """
        kind, packed = _packed(address)
        entries = self._all.get(kind) or self._all.setdefault(kind, _Entries(kind))
        found = entries.find(packed)
        if found is not None:
            chunk, start = found
            before = bytes(chunk[start : start + _DIGEST])
            chunk[start : start + _TAIL] = digest + b"\1"
            return before
        self._require(entries.step + _OVERHEAD)
        self._bytes += entries.add(packed + digest + b"\1")
        self._count += 1
        return None

    def mark(self, address: str) -> None:
        """Mark a record, if it is held."""
        kind, packed = _packed(address)
        found = self._all[kind].find(packed) if kind in self._all else None
        if found is not None:
            chunk, start = found
            chunk[start + _DIGEST] = 1

    def remove(self, address: str) -> bool:
        """Hold a record no longer. :returns: whether it was held."""
        kind, packed = _packed(address)
        freed = self._all[kind].remove(packed) if kind in self._all else 0
        self._bytes -= freed
        self._count -= freed > 0
        return freed > 0

    def remove_marks(self) -> None:
        """Take the marks from all records."""
        for entries in self._all.values():
            entries.remove_marks()

    def unmarked(self) -> list[str]:
        """The addresses of the records without a mark."""
        return [address for entries in self._all.values() for address in entries.unmarked()]

    def clear(self) -> None:
        """Hold nothing."""
        self._all.clear()
        self._count = self._bytes = 0

    def _require(self, size: int) -> None:
        wanted = self._bytes + size
        # In steps, because all subscriptions share the budget's lock.
        if wanted > self._share.size and not self._share.resize(wanted + max(1_024, wanted // 16)):
            raise TooMuchHeld(
                f"the subscriptions hold as much memory as they may, {self._share.most} bytes; watch fewer records by a"
                " filter, or end other subscriptions"
            )


class _Entries:
    """Entries of one length: each a packed address, a digest and a mark.

    They are in chunks, one after another. The chunks are in the order of their addresses, which is that in which
    records are read; within a chunk there is no order. So a record costs its entry and little more.
    """

    def __init__(self, kind: Kind) -> None:
        self._length, self._is_uuid = kind
        self.step = self._length + _TAIL
        # No address in a chunk is less than its first one.
        self._firsts: list[bytes] = []
        self._chunks: list[bytearray] = []

    def find(self, packed: bytes) -> tuple[bytearray, int] | None:
        """The chunk of an address, and the place of its digest there."""
        number = bisect_right(self._firsts, packed) - 1
        if number < 0:
            return None
        chunk = self._chunks[number]
        place = chunk.find(packed)
        # The bytes may also be found elsewhere than at the start of an entry.
        while place >= 0 and place % self.step:
            place = chunk.find(packed, place + 1)
        return None if place < 0 else (chunk, place + self._length)

    def add(self, entry: bytes) -> int:
        """Add an entry whose address is not there. :returns: the bytes that it costs."""
        packed = entry[: self._length]
        if not self._chunks:
            self._insert(0, [entry])
            return self.step + _OVERHEAD
        self._firsts[0] = min(self._firsts[0], packed)
        number = bisect_right(self._firsts, packed) - 1
        chunk = self._chunks[number]
        if len(chunk) < _MOST_ENTRIES * self.step:
            chunk += entry
            return self.step
        entries = sorted([entry, *[bytes(chunk[start : start + self.step]) for start in self._starts(chunk)]])
        # Behind all others, which is where new records mostly are, or in the middle.
        half = len(entries) - 1 if entries[-1] is entry else len(entries) // 2
        chunk[:] = b"".join(entries[:half])
        self._insert(number + 1, entries[half:])
        return self.step + _OVERHEAD

    def remove(self, packed: bytes) -> int:
        """Remove an entry. :returns: the bytes that are free now; 0 if it is not there."""
        found = self.find(packed)
        if found is None:
            return 0
        chunk, place = found
        start = place - self._length
        del chunk[start : start + self.step]
        if chunk:
            return self.step
        number = bisect_right(self._firsts, packed) - 1
        del self._firsts[number], self._chunks[number]
        return self.step + _OVERHEAD

    def remove_marks(self) -> None:
        """Take the marks from all entries."""
        for chunk in self._chunks:
            chunk[self.step - 1 :: self.step] = bytes(len(chunk) // self.step)

    def unmarked(self) -> Iterator[str]:
        """The addresses of the entries without a mark."""
        for chunk in self._chunks:
            for start in self._starts(chunk):
                if not chunk[start + self.step - 1]:
                    yield self._unpacked(bytes(chunk[start : start + self._length]))

    def _insert(self, number: int, entries: list[bytes]) -> None:
        self._firsts.insert(number, entries[0][: self._length])
        self._chunks.insert(number, bytearray(b"".join(entries)))

    def _starts(self, chunk: bytearray) -> range:
        return range(0, len(chunk), self.step)

    def _unpacked(self, packed: bytes) -> str:
        if not self._is_uuid:
            return packed.decode(errors="surrogatepass")
        text = packed.hex()
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _packed(address: str) -> tuple[Kind, bytes]:
    """An address as the bytes that stand for it, and their kind."""
    is_uuid = len(address) == _UUID_LENGTH and _UUID.fullmatch(address) is not None
    packed = bytes.fromhex(address.replace("-", "")) if is_uuid else address.encode(errors="surrogatepass")
    return (len(packed), is_uuid), packed
