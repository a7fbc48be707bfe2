"""Compression of bodies by Zstandard, above a size from which it pays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar
from typing import Final

import zstandard

from storage.core.entry import Stored
from storage.layers.coding import Coding
from storage.layers.coding import Undecodable

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

    media_type: ClassVar[str] = "application/zstd"
    name: ClassVar[str] = "packed"
    needs_whole: ClassVar[bool] = False

    def __init__(self, threshold: int = _THRESHOLD, level: int = _LEVEL, largest: int = _LARGEST) -> None:
        super().__init__()
        self._threshold = threshold
        self._level = level
        self._largest = largest

    def coded(self, entry: Stored) -> tuple[bytes, Mapping[str, str]] | None:
        if len(entry.body) < self._threshold:
            return None
        # Neither is thread-safe, and to make one costs less than to compress the smallest body.
        body = zstandard.ZstdCompressor(level=self._level).compress(entry.body)
        return (body, {"size": str(len(entry.body))}) if len(body) < len(entry.body) else None

    def decoded(self, entry: Stored, body: bytes, notes: Mapping[str, str]) -> bytes:
        size = notes["size"]
        if not size.isdigit() or int(size) > self._largest:
            raise Undecodable(f"it would become larger than {self._largest:,} bytes")
        try:
            unpacked = zstandard.ZstdDecompressor().decompress(
                body, max_output_size=int(size), read_across_frames=False
            )
        except zstandard.ZstdError as error:
            raise Undecodable("its compressed bytes are damaged") from error
        if len(unpacked) != int(size):
            raise Undecodable("its compressed bytes are those of another entry")
        return unpacked
