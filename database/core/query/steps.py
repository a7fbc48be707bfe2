"""Work that is done here, step by step, and ends at its deadline."""

from __future__ import annotations

import math

from database.core.clock import monotonic
from database.core.errors import Stopped

_BETWEEN_LOOKS = 2000
"""Steps of about a microsecond after which the clock is looked at again."""


class Steps:
    """Counts the steps of a computation that no database can interrupt.

    :param deadline: monotonic seconds; ``inf`` for no limit.
    """

    __slots__ = ("_left", "deadline")

    def __init__(self, deadline: float = math.inf) -> None:
        self.deadline = deadline
        self._left = 0

    def take(self, count: int = 1) -> None:
        """Take so many steps. :raises Stopped: if the deadline has passed."""
        self._left -= count
        if self._left < 0:
            self._left = _BETWEEN_LOOKS
            if monotonic() >= self.deadline:
                raise Stopped("the query ran until the deadline and was stopped")
