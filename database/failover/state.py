"""Where the calls of one application in this process go, as one immutable snapshot.

A snapshot is replaced whole, under a lock, and each call reads it once: what it says of the database, of its health and
of the epoch belongs together, whatever happens while the call is under way.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from threading import TIMEOUT_MAX
from threading import Lock
from threading import RLock
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.context import current_context
from database.core.errors import Unavailable
from database.resilience.circuit_breaker import CLOSED
from database.resilience.deadline import remaining

logger = logging.getLogger(__name__)

_PAUSE: Final = 1.0
"""Seconds between two attempts to find any adapter that answers."""

_NONE: Final = "No active database adapter: no database can be used now; the log says why"


@dataclass(frozen=True, slots=True)
class Health:
    """How the primary is.

    :ivar connected: whether any adapter has answered since the start, or since the last disconnect.
    :ivar away: whether its circuit opened and reads have not returned to it since.
    :ivar well_since: monotonic seconds at which its circuit closed again; None while it is open, or was never.
    """

    connected: bool = False
    away: bool = False
    well_since: float | None = None


@dataclass(frozen=True, slots=True)
class FailoverState:
    """What a call needs to know about the primary, which all writes go to.

    :ivar name: the primary's name.
    :ivar adapter: the adapter of that name.
    :ivar health: how that adapter is.
    :ivar epoch: how often reads of this process have left the primary or returned to it, which tells its snapshots
        apart. Each worker process finds out for itself that the primary is away, and counts from 0: epochs of two of
        them cannot be compared. Nothing is fenced off by one; writes go to the primary whatever the state.
    """

    name: str
    adapter: DatabaseAdapter
    health: Health
    epoch: int


class Failover:
    """Keeps the present :class:`FailoverState` of some adapters; the first one is the primary.

    :param adapters: by name, best first.
    :param failback_after: seconds that the primary's circuit must stay closed after an outage before reads return.
    :param clock: monotonic seconds.
    :ivar state: the present snapshot. Read it once per call.
    """

    def __init__(self, adapters: Mapping[str, DatabaseAdapter], failback_after: float, clock: Clock) -> None:
        name, primary = next(iter(adapters.items()))
        self.adapters = adapters
        self.state = FailoverState(name, primary, Health(), 0)
        self._failback_after = failback_after
        self._clock = clock
        self._answered_at = clock()
        self._next_attempt = 0.0
        self._connecting = RLock()
        # Taken under the lock of the primary's circuit breaker, which reports its changes: never wait while holding it.
        self._replacing = Lock()
        primary.pipeline.circuit_breaker.add_watch(self._state_changed)

    def connect(self) -> bool:
        """Ask the adapters in order for a sign of life until one answers; whether one does.

        Those before it are asked again by themselves, and calls return to them as after any outage.
        """
        with self._connecting:
            connected = any(self._answers(name, adapter) for name, adapter in self.adapters.items())
            if not connected:
                # Calls that come now would only stand in line for the same answer.
                self._next_attempt = self._clock() + _PAUSE
            self._note_connected(connected)
            return connected

    def disconnect(self) -> None:
        """Have the next call connect again."""
        with self._connecting:
            self._note_connected(False)

    def connected(self) -> FailoverState:
        """The state for a call; connects if that was not done. :raises Unavailable: when no adapter answers."""
        state = self.state
        if not state.health.connected:
            self._connect_once()
            state = self.state
        return self._now(state) if state.health.away else state

    def now(self) -> FailoverState:
        """The state at this moment, without connecting."""
        return self._now(self.state)

    def answering(self, state: FailoverState) -> str | None:
        """The name of the adapter that answers reads in this state; None before the first call, and while none does."""
        if not state.health.connected:
            return None
        if len(self.adapters) == 1 or not state.health.away:
            return state.name
        # A stand-in that was never needed is not known to be ill.
        return next(
            (name for name, adapter in self.adapters.items() if adapter.pipeline.circuit_breaker.state == CLOSED), None
        )

    def answered(self) -> None:
        """Note that the primary answered a moment ago."""
        self._answered_at = self._clock()

    @property
    def silent_for(self) -> float:
        """Seconds since the primary last answered."""
        return self._clock() - self._answered_at

    def _state_changed(self, state: str) -> None:
        """The primary's circuit opened or closed; called by its circuit breaker."""
        with self._replacing:
            before = self.state.health
            if state != CLOSED:
                self._replace(replace(before, away=True, well_since=None))
            elif before.away:
                self._replace(replace(before, well_since=self._clock()))

    def _now(self, seen: FailoverState) -> FailoverState:
        """``seen``, or the state that follows it if reads are to return to the primary."""
        since = seen.health.well_since
        if since is None or self._clock() - since < self._failback_after:
            return seen
        with self._replacing:
            # If the circuit has opened meanwhile, reads stay away: what was seen is no more.
            if self.state is seen:
                self._replace(replace(seen.health, away=False, well_since=None))
            return self.state

    def _note_connected(self, connected: bool) -> None:
        with self._replacing:
            self._replace(replace(self.state.health, connected=connected))

    def _replace(self, health: Health) -> None:
        moved = health.away != self.state.health.away
        self.state = replace(self.state, health=health, epoch=self.state.epoch + moved)

    def _connect_once(self) -> None:
        """Connect for the first call; one that comes meanwhile waits for that, but not beyond its deadline."""
        seconds = min(remaining(current_context.get(), monotonic), TIMEOUT_MAX)
        if not self._connecting.acquire(timeout=seconds):
            raise Unavailable(_NONE)
        try:
            connected = self.state.health.connected
            if not connected and (self._clock() < self._next_attempt or not self.connect()):
                raise Unavailable(_NONE, retry_after=_PAUSE)
        finally:
            self._connecting.release()

    def _answers(self, name: str, adapter: DatabaseAdapter) -> bool:
        if adapter.connect():
            return True
        # Its prober asks from now on, and no call waits for it.
        adapter.pipeline.circuit_breaker.trip()
        adapter.pipeline.start()
        logger.warning("%s does not answer; it is asked again all the time", name)
        return False
