"""Compression of bodies by Zstandard, above a size from which it pays."""

from __future__ import annotations

from typing import Final

import zstandard

from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored
from storage.layers.coding import Coding
from storage.layers.coding import Unreadable

PACKED_TYPE: Final = "application/zstd"

_THRESHOLD: Final = 1 << 10
_LEVEL: Final = 3
_LARGEST: Final = 256 << 20


class Compression(Coding):
    """Compresses bodies that become smaller by it.

    Before :class:`~storage.layers.encryption.Encryption` in a store's layers: what is encrypted cannot be compressed.

    :param threshold: the smallest body, in bytes, that is compressed.
    :param level: of Zstandard, from 1 (fastest) to 22.
    :param largest: the largest body, in bytes, that is made of a compressed one; a few bytes could be many gigabytes.
    """

    def __init__(self, threshold: int = _THRESHOLD, level: int = _LEVEL, largest: int = _LARGEST) -> None:
        self._threshold = threshold
        self._level = level
        self._largest = largest

    def encoded(self, entry: Stored) -> Stored:
        if len(entry.body) < self._threshold:
            return entry
        # Neither is thread-safe, and to make one costs less than to compress the smallest body.
        body = zstandard.ZstdCompressor(level=self._level).compress(entry.body)
        if len(body) >= len(entry.body):
            return entry
        headers = {
            **entry.headers,
            MEDIA_TYPE: PACKED_TYPE,
            "packed_type": entry.headers.get(MEDIA_TYPE, JSON_TYPE),
            "packed_size": str(len(entry.body)),
        }
        return entry._replace(headers=headers, body=body)

    def decoded(self, entry: Stored) -> Stored:
        # A caller's own bytes may be of this type, too.
        if entry.headers.get(MEDIA_TYPE) != PACKED_TYPE or "packed_size" not in entry.headers:
            return entry
        headers = {name: value for name, value in entry.headers.items() if not name.startswith("packed_")}
        headers[MEDIA_TYPE] = entry.headers["packed_type"]
        if headers[MEDIA_TYPE] == JSON_TYPE:
            del headers[MEDIA_TYPE]
        return entry._replace(headers=headers, body=self._unpacked(entry.body, entry.headers["packed_size"]))

    def _unpacked(self, body: bytes, size: str) -> bytes:
        if not size.isdigit() or int(size) > self._largest:
            raise Unreadable(f"it would become larger than {self._largest:,} bytes")
        try:
            unpacked = zstandard.ZstdDecompressor().decompress(
                body, max_output_size=int(size), read_across_frames=False
            )
        except zstandard.ZstdError as error:
            raise Unreadable("its compressed bytes are damaged") from error
        if len(unpacked) != int(size):
            raise Unreadable("its compressed bytes are those of another entry")
        return unpacked
