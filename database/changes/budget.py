"""The memory that the subscriptions on one adapter may hold together."""

from __future__ import annotations

from threading import Lock
from typing import Final

MOST_HELD_BYTES: Final = 256 << 20
"""Bytes that all subscriptions on an adapter may hold: about ten million records whose keys are UUIDs."""


class MemoryBudget:
    """Bytes that are shared out.

    :param most: all of them.
    """

    def __init__(self, most: int = MOST_HELD_BYTES) -> None:
        self.most = most
        self.used = 0
        self._lock = Lock()

    def change(self, size: int) -> bool:
        """Take so many bytes more, or if negative, give them back. :returns: False if there are too few; takes none."""
        with self._lock:
            if size > 0 and self.used + size > self.most:
                return False
            self.used += size
            return True


class Share:
    """What one subscription has of a budget."""

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._closed = False
        self._lock = Lock()
        self.size = 0
        self.refused = False
        """Whether the last request was for more than there was."""

    @property
    def most(self) -> int:
        """All bytes of the budget."""
        return self._budget.most

    def resize(self, size: int) -> bool:
        """Have this many bytes from now on. :returns: False, and the size stays, if the budget lacks them."""
        with self._lock:
            granted = not self._closed and self._budget.change(size - self.size)
            if granted:
                self.size = size
            self.refused = not granted
            return granted

    def give_back(self, *, for_good: bool = False) -> None:
        """Have nothing.

        :param for_good: never have anything again.
        """
        with self._lock:
            self._budget.change(-self.size)
            self.size = 0
            self._closed = self._closed or for_good
