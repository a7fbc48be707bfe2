"""A deadline for computations that run in this process."""

from __future__ import annotations

import math

from database.core.clock import monotonic
from database.core.errors import Stopped

_STEPS_PER_CHECK = 2000
"""Steps, of about a microsecond each, between two checks of the deadline."""


class Steps:
    """Counts the steps of a computation and stops it at its deadline.

    :param deadline: monotonic seconds; ``inf`` for no limit.
    """

    __slots__ = ("_left", "deadline")

    def __init__(self, deadline: float = math.inf) -> None:
        self.deadline = deadline
        self._left = 0

    def take(self, count: int = 1) -> None:
        """Count ``count`` steps. :raises Stopped: if the deadline has passed."""
        self._left -= count
        if self._left < 0:
            self._left = _STEPS_PER_CHECK
            if monotonic() >= self.deadline:
                raise Stopped("the query was stopped at its deadline")
