"""All adapters of one application in their configured order, and the one that calls go to.

Writes and transactions go to the first adapter, the primary, and nowhere else: while it is away they are refused. A
read that it cannot answer is answered by the next adapter in order, a stand-in, and its result says so (``source``,
``stale_for``). A transaction stays where it was begun, which may be there as well if it only reads. So it is also if
the process starts without its primary. After an outage reads return when the primary has been well for a while. As
every process asks the same primary, all of them agree.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import ClassVar

from config.settings import Settings
from config.settings import load_settings
from database.adapters.base import DatabaseAdapter
from database.adapters.face import Database
from database.adapters.registry import adapters_in_order
from database.adapters.session import Transaction
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.context import current_context
from database.core.context import current_provenance
from database.core.errors import BackendError
from database.core.errors import CircuitOpen
from database.core.errors import ConnectFailed
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.failover.health import Health
from database.failover.stand_in import may_stand_in
from database.failover.stand_in import standing_in
from database.resilience.deadline import remaining
from database.resilience.guard import CLOSED

logger = logging.getLogger(__name__)

_managers: weakref.WeakSet[ConnectionManager] = weakref.WeakSet()

_PAUSE = 1.0
"""Seconds between two attempts to find any adapter that answers."""

_NONE = "No active database adapter: no database can be used now; the log says why"

_ELSEWHERE = (Unavailable, TimedOut)
"""After these a read is tried on the next adapter."""

_Answer = tuple[Transaction | None, Result]
_Ask = Callable[[DatabaseAdapter, Operation], _Answer]
"""Asks an adapter; with the transaction that this began, if it did."""


def _alone(adapter: DatabaseAdapter, operation: Operation) -> _Answer:
    return None, adapter.run_alone(operation)


def _begun(adapter: DatabaseAdapter, operation: Operation) -> _Answer:
    return adapter.begin_to_read(operation)


_AWAY = (CircuitOpen, ConnectFailed)
"""After these the primary is known to be away."""


class ConnectionManager(Database):
    """All adapters of one application.

    :param settings: from the environment by default.
    :param adapters: by name, best first, instead of those that the settings name.
    :raises ConfigurationError: for settings that name no usable adapter.
    """

    _instance: ClassVar[ConnectionManager | None] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        settings: Settings | None = None,
        adapters: Mapping[str, DatabaseAdapter] | None = None,
        *,
        clock: Clock = monotonic,
    ) -> None:
        self.settings = settings or load_settings()
        self.adapters = dict(adapters) if adapters is not None else adapters_in_order(self.settings)
        self.primary_adapter, *_ = self.adapters
        self._clock = clock
        self._build()
        _managers.add(self)

    def _build(self) -> None:
        """Everything that must not be shared with a forked child: locks, listeners."""
        after = self.settings.db_failback_after
        self._connected = False
        self._next_attempt = 0.0
        self._lock = threading.RLock()
        self._health = {
            name: Health(adapter.pipeline.guard, after, self._clock) for name, adapter in self.adapters.items()
        }

    @classmethod
    def get_instance(cls) -> ConnectionManager:
        """The manager of this process; made from the environment if the application made none."""
        with cls._instance_lock:
            if cls._instance is None:
                cls._instance = cls()
            return cls._instance

    @classmethod
    def set_instance(cls, manager: ConnectionManager | None) -> None:
        """Make ``manager`` the one of this process; None forgets the present one without closing it."""
        with cls._instance_lock:
            cls._instance = manager

    @classmethod
    def offer_instance(cls, manager: ConnectionManager) -> None:
        """Make ``manager`` the one of this process, unless there is one."""
        with cls._instance_lock:
            cls._instance = cls._instance or manager

    def connect(self) -> bool:
        """Ask the adapters in order for a sign of life until one answers; whether one does.

        Those before it are asked again by themselves, and calls return to them as after any outage.
        """
        with self._lock:
            self._connected = any(self._answers(name, adapter) for name, adapter in self.adapters.items())
            if not self._connected:
                # Calls that come now would only stand in line for the same answer.
                self._next_attempt = self._clock() + _PAUSE
            return self._connected

    def disconnect(self) -> bool:
        """Close all adapters; the next call connects again."""
        with self._lock:
            self._connected = False
        for adapter in self.adapters.values():
            adapter.disconnect()
        return True

    @property
    def active_adapter(self) -> str | None:
        """The name of the adapter that answers reads; None before the first call, and while none does."""
        if not self._connected:
            return None
        if len(self.adapters) == 1 or not self._health[self.primary_adapter].recovering:
            return self.primary_adapter
        # A stand-in that was never needed is not known to be ill.
        return next((name for name, adapter in self.adapters.items() if adapter.pipeline.guard.state == CLOSED), None)

    @property
    def adapter(self) -> DatabaseAdapter:
        """The primary, which writes go to; connects if that was not done. :raises Unavailable: when none answers."""
        if not self._connected:
            self._connect_once()
        return self.adapters[self.primary_adapter]

    def get_active_adapter(self) -> DatabaseAdapter | None:
        """The adapter that answers reads, or None when no database answers."""
        try:
            self.adapter  # noqa: B018  # connects
        except Unavailable:
            return None
        name = self.active_adapter
        return None if name is None else self.adapters[name]

    def run_alone(self, operation: Operation) -> Result:
        if reads_only(operation):
            return self._read(operation, _alone)[1]
        try:
            result = self.adapter.run_alone(operation)
        except _AWAY as error:
            raise self._refusal(error) from error
        self._health[self.primary_adapter].answered()
        return result

    def begin_transaction(self, *, reads: bool = False) -> Transaction:
        try:
            return self.adapter.begin_transaction(reads=reads)
        except _AWAY as error:
            raise self._refusal(error) from error

    def begin_to_read(self, operation: Operation) -> tuple[Transaction, Result]:
        """As of an adapter; on a stand-in, which takes no writes then, if the primary cannot answer."""
        transaction, result = self._read(operation, _begun)
        assert transaction is not None
        return transaction, result

    def get_connection_info(self) -> dict[str, Any]:
        """What is known of all adapters without asking them: which one is active, and which is meant to lead."""
        return {
            "environment": self.settings.environment,
            "connection_mode": "auto" if len(self.adapters) > 1 else self.primary_adapter,
            "active_adapter": self.active_adapter,
            "primary_adapter": self.primary_adapter,
            "degraded": self._health[self.primary_adapter].recovering,
            "adapters": {name: adapter.get_connection_info() for name, adapter in self.adapters.items()},
        }

    def demand_callers(self) -> None:
        """Have all adapters refuse what nobody says the caller of."""
        for adapter in self.adapters.values():
            adapter.demand_callers()

    def test_all_connections(self) -> dict[str, tuple[bool, str]]:
        """Ask every adapter for a sign of life."""
        return {name: adapter.test_connection() for name, adapter in self.adapters.items()}

    def _connect_once(self) -> None:
        """Connect for the first call; one that comes meanwhile waits for that, but not beyond its deadline."""
        seconds = min(remaining(current_context.get(), monotonic), threading.TIMEOUT_MAX)
        if not self._lock.acquire(timeout=seconds):
            raise Unavailable(_NONE)
        try:
            if not self._connected and (self._clock() < self._next_attempt or not self.connect()):
                raise Unavailable(_NONE, retry_after=_PAUSE)
        finally:
            self._lock.release()

    def _answers(self, name: str, adapter: DatabaseAdapter) -> bool:
        if adapter.connect():
            return True
        # Its prober asks from now on, and no call waits for it.
        adapter.pipeline.guard.trip()
        adapter.pipeline.start()
        logger.warning("%s does not answer; it is asked again all the time", name)
        return False

    def _refusal(self, error: Unavailable) -> Unavailable:
        """What a write is told while the primary is away."""
        others = ", ".join(name for name in self.adapters if name != self.primary_adapter)
        if not others:
            return error
        message = f"{self.primary_adapter} does not answer; {others} answers reads only and takes no writes"
        return type(error)(message, backend=error.backend, operation=error.operation, retry_after=error.retry_after)

    def _read(self, operation: Operation, ask: _Ask) -> _Answer:
        primary, health = self.adapter, self._health[self.primary_adapter]
        if health.recovering and len(self.adapters) > 1:
            answer = self._elsewhere(primary, operation, health, ask)
            return ask(primary, operation) if answer is None else answer
        try:
            answer = ask(primary, operation)
        except _ELSEWHERE:
            other = self._elsewhere(primary, operation, health, ask)
            if other is None:
                raise
            return other
        health.answered()
        return answer

    def _elsewhere(self, primary: DatabaseAdapter, operation: Operation, health: Health, ask: _Ask) -> _Answer | None:
        """The answer of the first other adapter that has one."""
        for name, adapter in self.adapters.items():
            if adapter is primary or not may_stand_in(adapter, primary, operation):
                continue
            try:
                transaction, result = ask(adapter, operation)
            except (BackendError, Unsupported) as error:
                logger.info("%s cannot answer for %s: %s", name, primary.name, error)
                continue
            result.source, result.stale_for = name, health.silent_for
            provenance = current_provenance.get()
            if provenance is not None:
                provenance.note(name, health.silent_for)
            if transaction is not None:
                transaction.put_around(standing_in(name, adapter, primary, health))
            return transaction, result
        return None


def _after_fork() -> None:
    """In the child; the adapters, whose module was imported before, have begun anew already."""
    for manager in list(_managers):
        manager._build()


os.register_at_fork(after_in_child=_after_fork)
