"""The databases of an application in their order, and the one that calls go to.

Writes go to the active adapter and nowhere else. A read that the active adapter cannot answer is answered by
the next one in order, and its result says so (``source``, ``stale_for``); never inside a transaction. After an
outage reads return only when the active adapter has been well for a while.
"""

from __future__ import annotations

import logging
import os
import threading
import weakref
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
from database.core.errors import BackendError
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.failover.failback import FailBack
from database.failover.health import Health
from database.failover.stand_in import may_stand_in
from database.resilience.deadline import remaining

logger = logging.getLogger(__name__)

_managers: weakref.WeakSet[ConnectionManager] = weakref.WeakSet()

_PAUSE = 1.0
"""Seconds between two attempts to find any adapter that answers."""

_NONE = "No active database adapter: no database can be used now; the log says why"

_ELSEWHERE = (Unavailable, TimedOut)
"""After these a read is tried on the next adapter."""


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
        """Everything that must not be shared with a forked child: locks, threads, listeners."""
        after = self.settings.db_failback_after
        self._active: str | None = None
        self._next_attempt = 0.0
        self._lock = threading.RLock()
        self._health = {
            name: Health(adapter.pipeline.guard, after, self._clock) for name, adapter in self.adapters.items()
        }
        self._failback = FailBack(self._is_well, self._return_to_primary, after)

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
        """Connect to the first adapter in order that answers, and make it the active one.

        If that is not the primary, it stays active until the primary has been well for a while; and for good
        once it has taken a write, which would be out of sight on the primary.
        """
        with self._lock:
            if self._failback.forbidden:
                return self.adapter.connect()
            self._active = next((name for name, adapter in self.adapters.items() if adapter.connect()), None)
            if self._active is None:
                # Calls that come now would only stand in line for the same answer.
                self._next_attempt = self._clock() + _PAUSE
                return False
            if self._active != self.primary_adapter:
                logger.warning("%s does not answer; %s is active", self.primary_adapter, self._active)
                self._failback.start()
            return True

    def disconnect(self) -> bool:
        """Close all adapters; the next call connects again."""
        self._failback.stop()
        with self._lock:
            self._active = None
        for adapter in self.adapters.values():
            adapter.disconnect()
        return True

    @property
    def active_adapter(self) -> str | None:
        """The name of the active adapter; None before the first call."""
        return self._active

    @property
    def adapter(self) -> DatabaseAdapter:
        """The active adapter; connects if none is yet. :raises Unavailable: when none answers."""
        if self._active is None:
            self._connect_once()
        return self.adapters[self._active or self.primary_adapter]

    def get_active_adapter(self) -> DatabaseAdapter | None:
        """The active adapter, or None when no database answers."""
        try:
            return self.adapter
        except Unavailable:
            return None

    def run_alone(self, operation: Operation) -> Result:
        if reads_only(operation):
            return self._read(operation)
        result = self._writer().run_alone(operation)
        self._health[self._active or self.primary_adapter].answered()
        return result

    def begin_transaction(self) -> Transaction:
        return self._writer().begin_transaction()

    def get_connection_info(self) -> dict[str, Any]:
        """What is known of all adapters without asking them: which one is active, and which is meant to lead."""
        return {
            "environment": self.settings.environment,
            "connection_mode": "auto" if len(self.adapters) > 1 else self.primary_adapter,
            "active_adapter": self._active,
            "primary_adapter": self.primary_adapter,
            "degraded": self._active not in {None, self.primary_adapter}
            or self._health[self.primary_adapter].recovering,
            "adapters": {name: adapter.get_connection_info() for name, adapter in self.adapters.items()},
        }

    def test_all_connections(self) -> dict[str, tuple[bool, str]]:
        """Ask every adapter for a sign of life."""
        return {name: adapter.test_connection() for name, adapter in self.adapters.items()}

    def _connect_once(self) -> None:
        """Connect for the first call; one that comes meanwhile waits for that, but not beyond its deadline."""
        seconds = min(remaining(current_context.get(), monotonic), threading.TIMEOUT_MAX)
        if not self._lock.acquire(timeout=seconds):
            raise Unavailable(_NONE)
        try:
            if self._active is None and (self._clock() < self._next_attempt or not self.connect()):
                raise Unavailable(_NONE, retry_after=_PAUSE)
        finally:
            self._lock.release()

    def _writer(self) -> DatabaseAdapter:
        """The active adapter, for a write; a stand-in stays active from then on."""
        primary = self.adapters[self.primary_adapter]
        if self.adapter is primary:
            return primary
        with self._lock:
            active = self.adapter
            if active is not primary:
                self._failback.forbid()
            return active

    def _read(self, operation: Operation) -> Result:
        active = self.adapter
        health = self._health[self._active or self.primary_adapter]
        if health.recovering and len(self.adapters) > 1:
            result = self._elsewhere(active, operation, health)
            return active.run_alone(operation) if result is None else result
        try:
            result = active.run_alone(operation)
        except _ELSEWHERE:
            result = self._elsewhere(active, operation, health)
            if result is None:
                raise
            return result
        health.answered()
        return result

    def _elsewhere(self, active: DatabaseAdapter, operation: Operation, health: Health) -> Result | None:
        """The answer of the first other adapter that has one."""
        for name, adapter in self.adapters.items():
            if adapter is active or not may_stand_in(adapter, active, operation):
                continue
            try:
                result = adapter.run_alone(operation)
            except (BackendError, Unsupported) as error:
                logger.info("%s cannot answer for %s: %s", name, active.name, error)
                continue
            result.source, result.stale_for = name, health.silent_for
            return result
        return None

    def _is_well(self) -> bool:
        well, _ = self.adapters[self.primary_adapter].test_connection()
        return well

    def _return_to_primary(self) -> None:
        with self._lock:
            if self._active is None or self._failback.forbidden:
                return
            self._active = self.primary_adapter
        logger.warning("%s is active again", self.primary_adapter)


def _after_fork() -> None:
    """In the child; the adapters, whose module was imported before, have begun anew already."""
    for manager in list(_managers):
        manager._build()


os.register_at_fork(after_in_child=_after_fork)
