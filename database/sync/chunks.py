"""The sizes of the chunks in which records are read and written."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Final
from typing import TypeVar

Item = TypeVar("Item")

FIRST: Final = 100
"""Records of the first chunk, and of the largest one if a transaction is one request, whose size is limited."""

LARGEST: Final = 1000
CHARACTERS: Final = 4 << 20
"""The target size of a chunk: characters of the rows of both sides together."""

_GROWTH: Final = 4


class Chunks:
    """Chunks that grow while their rows are small and shrink when they are large, so that memory use is bounded.

    :param bulk: whether chunks may become larger than the first one.
    :param largest: the most records of a chunk then; ``LARGEST`` by default.
    """

    def __init__(self, *, bulk: bool, largest: int | None = None) -> None:
        self._largest = (largest or LARGEST) if bulk else FIRST
        self.size = FIRST

    def of(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """Yield the items in chunks, each of the current :attr:`size`."""
        start = 0
        while start < len(items):
            chunk = items[start : start + self.size]
            start += len(chunk)
            yield chunk

    def of_parts(self, parts: Iterable[Sequence[Item]]) -> Iterator[Sequence[Item]]:
        """Yield the items of whole parts in chunks. A chunk is larger than the current :attr:`size` if a part is."""
        chunk: list[Item] = []
        for part in parts:
            if chunk and len(chunk) + len(part) > self.size:
                yield chunk
                chunk = []
            chunk += part
        if chunk:
            yield chunk

    def note(self, records: int, characters: int) -> None:
        """Set the size of the next chunk from the average size of these records; at most four times the current one."""
        fitting = CHARACTERS * records // max(characters, 1)
        self.size = max(1, min(fitting, _GROWTH * self.size, self._largest))
