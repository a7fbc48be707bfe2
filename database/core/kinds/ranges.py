"""Kinds whose columns hold a part of the values that they can be compared with, such as integers of 16 bits.

A value beyond its column is an error of its row. In a filter it is a value as any other, which no row has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from typing import Final

from database.core.kinds.values import INTEGER
from database.core.kinds.values import Kind


class Ranged(Kind):
    """A kind with a smallest and a largest value.

    :ivar lowest: the smallest value that a column holds.
    :ivar highest: the largest one.
    """

    lowest: Any
    highest: Any

    def held(self, comparand: Any) -> Any:
        below = self.floor(comparand)
        return below if below is not None and below == comparand else None

    def floor(self, comparand: Any) -> Any:
        """The largest value of a column that is not above ``comparand``; None if all are."""
        if comparand < self.lowest:
            return None
        return min(comparand, self.highest)


class Integers(Ranged):
    """Integers of fewer than 64 bits."""

    name = INTEGER.name
    python_type = int
    base = INTEGER

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self.lowest = -(2 ** (bits - 1))
        self.highest = 2 ** (bits - 1) - 1

    def check(self, value: Any) -> int:
        number = self.comparand(value)
        if not self.lowest <= number <= self.highest:
            raise ValueError(f"must fit in {self._bits} bits")
        return number

    def parse(self, text: str) -> int:
        return self.check(INTEGER.parse(text))

    def comparand(self, value: Any) -> int:
        return INTEGER.check(value)

    def accepts_all(self, values: Sequence[Any]) -> bool:
        return bool(min(values) >= self.lowest and max(values) <= self.highest)


SMALL_INTEGER: Final = Integers(16)
MIDDLE_INTEGER: Final = Integers(32)
