"""Mirrors a circuit breaker to a pybreaker circuit, for pybreaker's listeners.

This module is imported with the first listener, because pybreaker imports the Redis client if that is installed.
"""

from __future__ import annotations

from typing import Final

import pybreaker


class Mirror:
    """A pybreaker circuit that follows the states of a circuit breaker; it runs no calls.

    :param name: the backend's name.
    :param state: the circuit breaker's current state.
    """

    def __init__(self, name: str, state: str) -> None:
        self._breaker = pybreaker.CircuitBreaker(name=name)
        self.enter(state)

    def add_listener(self, listener: pybreaker.CircuitBreakerListener) -> None:
        """Call ``listener.state_change`` at every later change."""
        self._breaker.add_listener(listener)

    def enter(self, state: str) -> None:
        """Change to the circuit breaker's new state."""
        _MOVES[state](self._breaker)


_MOVES: Final = {
    pybreaker.STATE_CLOSED: pybreaker.CircuitBreaker.close,
    pybreaker.STATE_OPEN: pybreaker.CircuitBreaker.open,
    pybreaker.STATE_HALF_OPEN: pybreaker.CircuitBreaker.half_open,
}
