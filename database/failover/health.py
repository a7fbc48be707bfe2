"""How an adapter has been lately, as the connection manager needs to know it."""

from __future__ import annotations

from database.core.clock import Clock
from database.resilience.guard import CLOSED
from database.resilience.guard import Guard


class Health:
    """Follows one adapter's circuit and remembers when it last answered.

    :param failback_after: seconds that the circuit must stay closed after an outage before reads return.
    """

    def __init__(self, guard: Guard, failback_after: float, clock: Clock) -> None:
        self._clock = clock
        self._failback_after = failback_after
        self._answered = clock()
        self._well_since: float | None = clock()
        self._was_out = False
        guard.add_watch(self._state_changed)

    def _state_changed(self, state: str) -> None:
        if state == CLOSED:
            self._well_since = self._clock()
        else:
            self._well_since = None
            self._was_out = True

    @property
    def recovering(self) -> bool:
        """Whether the adapter is out, or back for so short a time that reads should not return yet."""
        if not self._was_out:
            return False
        since = self._well_since
        if since is None or self._clock() - since < self._failback_after:
            return True
        self._was_out = False
        return False

    def answered(self) -> None:
        """Note that the adapter answered a moment ago."""
        self._answered = self._clock()

    @property
    def silent_for(self) -> float:
        """Seconds since the adapter last answered."""
        return self._clock() - self._answered
