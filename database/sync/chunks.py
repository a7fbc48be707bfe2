"""How many records are read and written together."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Final
from typing import TypeVar

Item = TypeVar("Item")

FIRST: Final = 100
"""Records of the first chunk, and of the largest where a transaction is one request, whose size is limited."""

LARGEST: Final = 1000
CHARACTERS: Final = 4 << 20
"""What the rows of a chunk may come to, those of both sides together."""


class Chunks:
    """Chunks that grow as long as their rows are small, and shrink when these are large: memory stays flat.

    :param bulk: whether chunks may become larger than the first.
    """

    def __init__(self, *, bulk: bool) -> None:
        self._largest = LARGEST if bulk else FIRST
        self.size = FIRST

    def of(self, items: Sequence[Item]) -> Iterator[Sequence[Item]]:
        """The items in chunks, each of the size that is right when it is taken."""
        start = 0
        while start < len(items):
            chunk = items[start : start + self.size]
            start += len(chunk)
            yield chunk

    def note(self, records: int, characters: int) -> None:
        """Have the next chunk as many records as fit, going by these; at most twice as many as this one."""
        fitting = CHARACTERS * records // max(characters, 1)
        self.size = max(1, min(fitting, 2 * self.size, self._largest))
