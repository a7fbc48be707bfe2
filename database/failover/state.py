"""The failover state of one application in this process, as one immutable snapshot.

A snapshot is replaced as a whole, under a lock, and each call reads it once, so that database, health and epoch are
consistent during the call.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
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
"""Seconds between two attempts to find an adapter that responds."""

_NONE: Final = "No active database adapter: no configured database responds; see the log for the reasons"


@dataclass(frozen=True, slots=True)
class Health:
    """The health of the primary.

    :ivar connected: whether any adapter has responded since the start, or since the last disconnect.
    :ivar away: whether its circuit has opened and reads have not returned to it since.
    :ivar well_since: monotonic seconds at which its circuit closed again; None while it is open, or if it never opened.
    """

    connected: bool = False
    away: bool = False
    well_since: float | None = None


@dataclass(frozen=True, slots=True)
class FailoverState:
    """The primary, which receives all writes, and its health.

    :ivar name: the primary's name.
    :ivar adapter: the primary's adapter.
    :ivar health: the primary's health.
    :ivar epoch: how often reads of this process have left the primary or returned to it, to tell its snapshots apart.
        Each worker process notices an outage by itself and counts from 0: epochs of two processes cannot be compared.
        An epoch fences nothing off; writes go to the primary in every state.
    """

    name: str
    adapter: DatabaseAdapter
    health: Health
    epoch: int


class Failover:
    """Holds the current :class:`FailoverState` of a list of adapters.

    :param adapters: by name, in order of preference; the first one is the primary until :meth:`lead`.
    :param failback_after: seconds for which the primary's circuit must stay closed after an outage before reads return.
    :param clock: monotonic seconds.
    :ivar state: the current snapshot. Read it once per call.
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
        # Acquired while the primary's circuit breaker holds its own lock: never wait while holding this lock.
        self._replacing = Lock()
        for adapter in adapters.values():
            adapter.pipeline.circuit_breaker.add_watch(partial(self._state_changed, adapter))

    def lead(self, name: str) -> bool:
        """Make a database the primary, whose calls begin from now on. :returns: whether it was not before."""
        adapter = self.adapters[name]
        with self._replacing:
            if self.state.adapter is adapter:
                return False
            order = [name, *(other for other in self.adapters if other != name)]
            self.adapters = {other: self.adapters[other] for other in order}
            health = Health(self.state.health.connected, away=adapter.pipeline.circuit_breaker.state != CLOSED)
            self.state = FailoverState(name, adapter, health, self.state.epoch + 1)
            self._answered_at = self._clock()
        return True

    def connect(self) -> bool:
        """Ping the adapters in order until one responds. :returns: whether one does.

        Adapters before it are probed in the background, and calls return to them as after an outage.
        """
        with self._connecting:
            connected = any(self._answers(name, adapter) for name, adapter in self.adapters.items())
            if not connected:
                # Until then, calls fail at once instead of waiting for the same attempt.
                self._next_attempt = self._clock() + _PAUSE
            self._note_connected(connected)
            return connected

    def disconnect(self) -> None:
        """Make the next call connect again."""
        with self._connecting:
            self._note_connected(False)

    def connected(self) -> FailoverState:
        """The state for a call; connects first if necessary. :raises Unavailable: if no adapter responds."""
        state = self.state
        if not state.health.connected:
            self._connect_once()
            state = self.state
        return self._now(state) if state.health.away else state

    def now(self) -> FailoverState:
        """The current state, without connecting."""
        return self._now(self.state)

    def answering(self, state: FailoverState) -> str | None:
        """The name of the adapter that answers reads in this state; None before the first call, or if none does."""
        if not state.health.connected:
            return None
        if len(self.adapters) == 1 or not state.health.away:
            return state.name
        # The circuit of a fallback that was never used is closed.
        return next(
            (name for name, adapter in self.adapters.items() if adapter.pipeline.circuit_breaker.state == CLOSED), None
        )

    def answered(self) -> None:
        """Record that the primary has just responded."""
        self._answered_at = self._clock()

    @property
    def silent_for(self) -> float:
        """Seconds since the primary last responded."""
        return self._clock() - self._answered_at

    def _state_changed(self, adapter: DatabaseAdapter, state: str) -> None:
        """Called by a circuit breaker when its circuit opens or closes; only the primary's matters."""
        with self._replacing:
            if adapter is not self.state.adapter:
                return
            before = self.state.health
            if state != CLOSED:
                self._replace(replace(before, away=True, well_since=None))
            elif before.away:
                self._replace(replace(before, well_since=self._clock()))

    def _now(self, seen: FailoverState) -> FailoverState:
        """Return ``seen``, or the next state if it is time for reads to return to the primary."""
        since = seen.health.well_since
        if since is None or self._clock() - since < self._failback_after:
            return seen
        with self._replacing:
            # If the circuit has opened meanwhile, the state has been replaced and reads do not return.
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
        """Connect for the first call; concurrent calls wait for that, but not beyond their deadlines."""
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
        # From now on its prober pings it, and no call waits for it.
        adapter.pipeline.circuit_breaker.trip()
        adapter.pipeline.start()
        logger.warning("%s does not respond; it is probed until it does", name)
        return False
