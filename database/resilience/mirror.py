"""A circuit as pybreaker's listeners know it.

Nobody but who has such a listener pays for pybreaker, which loads Redis's client where that is installed.
"""

from __future__ import annotations

from typing import Final

import pybreaker


class Mirror:
    """A pybreaker circuit that follows a circuit breaker's states and runs no calls.

    :param name: the backend's name.
    :param state: the circuit breaker's present state.
    """

    def __init__(self, name: str, state: str) -> None:
        self._breaker = pybreaker.CircuitBreaker(name=name)
        self.enter(state)

    def add_listener(self, listener: pybreaker.CircuitBreakerListener) -> None:
        """Have ``listener.state_change`` called at every later change."""
        self._breaker.add_listener(listener)

    def enter(self, state: str) -> None:
        """Follow the circuit breaker into a state."""
        _MOVES[state](self._breaker)


_MOVES: Final = {
    pybreaker.STATE_CLOSED: pybreaker.CircuitBreaker.close,
    pybreaker.STATE_OPEN: pybreaker.CircuitBreaker.open,
    pybreaker.STATE_HALF_OPEN: pybreaker.CircuitBreaker.half_open,
}
