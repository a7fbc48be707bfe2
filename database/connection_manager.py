"""All adapters of one application in their configured order, and the one that calls go to.

Writes and transactions go to the first adapter, the primary, and nowhere else: while it is away they are refused. A
read that it cannot answer is answered by the next adapter in order, a stand-in, and its result says so (``source``,
``stale_for``). A transaction stays where it was begun, which may be there as well if it only reads. So it is also if
the process starts without its primary. After an outage reads return when the primary has been well for a while. As
every process asks the same primary, all of them agree.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any
from typing import ClassVar

from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.adapter.interface import Database
from database.adapter.transactions import Transaction
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.errors import CircuitOpen
from database.core.errors import ConnectFailed
from database.core.errors import Unavailable
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.core.tables.schema import Schema
from database.declared import schema_for
from database.failover.reading import alone
from database.failover.reading import begun
from database.failover.reading import read
from database.failover.state import Failover
from database.registry import adapters_in_order

_AWAY = (CircuitOpen, ConnectFailed)
"""After these the primary is known to be away."""


class ConnectionManager(Database):
    """All adapters of one application.

    :param settings: from the environment by default.
    :param adapters: by name, best first, instead of those that the settings name.
    :param schema: the tables that the settings' adapters know; by default those of the package that
        ``settings.application_package`` names.
    :raises ConfigurationError: for settings that name no usable adapter, or tables that are not declared.
    """

    _instance: ClassVar[ConnectionManager | None] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(
        self,
        settings: Settings | None = None,
        adapters: Mapping[str, DatabaseAdapter] | None = None,
        schema: Schema | None = None,
        *,
        clock: Clock = monotonic,
    ) -> None:
        self.settings = settings or load_settings()
        self.schema = schema or schema_for(self.settings)
        _check_sync_tables(self.settings, self.schema)
        self.adapters = dict(adapters) if adapters is not None else adapters_in_order(self.settings, self.schema)
        self.primary_adapter, *_ = self.adapters
        self._clock = clock
        self._create_runtime_state()
        rebuild_after_fork(self, ConnectionManager._create_runtime_state, after=self.adapters.values())

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child: locks, listeners."""
        self._failover = Failover(self.adapters, self.settings.db_failback_after, self._clock)

    @classmethod
    def _build_class(cls) -> None:
        cls._instance_lock = threading.Lock()

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
        return self._failover.connect()

    def disconnect(self) -> bool:
        """Close all adapters; the next call connects again."""
        self._failover.disconnect()
        for adapter in self.adapters.values():
            adapter.disconnect()
        return True

    @property
    def active_adapter(self) -> str | None:
        """The name of the adapter that answers reads; None before the first call, and while none does."""
        return self._failover.answering(self._failover.now())

    @property
    def adapter(self) -> DatabaseAdapter:
        """The primary, which writes go to; connects if that was not done. :raises Unavailable: when none answers."""
        return self._failover.connected().adapter

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
            return read(self._failover, operation, alone)[1]
        try:
            result = self.adapter.run_alone(operation)
        except _AWAY as error:
            raise self._refusal(error) from error
        self._failover.answered()
        return result

    def begin_transaction(self, *, reads: bool = False) -> Transaction:
        try:
            return self.adapter.begin_transaction(reads=reads)
        except _AWAY as error:
            raise self._refusal(error) from error

    def begin_to_read(self, operation: Operation) -> tuple[Transaction, Result]:
        """As of an adapter; on a stand-in, which takes no writes then, if the primary cannot answer."""
        transaction, result = read(self._failover, operation, begun)
        assert transaction is not None
        return transaction, result

    def get_connection_info(self) -> dict[str, Any]:
        """What is known of all adapters without asking them: which one is active, and which is meant to lead."""
        state = self._failover.now()
        return {
            "environment": self.settings.environment,
            "connection_mode": "auto" if len(self.adapters) > 1 else self.primary_adapter,
            "active_adapter": self._failover.answering(state),
            "primary_adapter": state.name,
            "epoch": state.epoch,
            "degraded": state.health.away,
            "adapters": {name: adapter.get_connection_info() for name, adapter in self.adapters.items()},
        }

    def demand_callers(self) -> None:
        """Have all adapters refuse what nobody says the caller of."""
        for adapter in self.adapters.values():
            adapter.demand_callers()

    def test_all_connections(self) -> dict[str, tuple[bool, str]]:
        """Ask every adapter for a sign of life."""
        return {name: adapter.test_connection() for name, adapter in self.adapters.items()}

    def _refusal(self, error: Unavailable) -> Unavailable:
        """What a write is told while the primary is away."""
        others = ", ".join(name for name in self.adapters if name != self.primary_adapter)
        if not others:
            return error
        message = f"{self.primary_adapter} does not answer; {others} answers reads only and takes no writes"
        return type(error)(message, backend=error.backend, operation=error.operation, retry_after=error.retry_after)


def _check_sync_tables(settings: Settings, schema: Schema) -> None:
    tables = [table.name for table in schema if not table.internal]
    if unknown := [name for name in settings.convex.sync_tables or () if name not in tables]:
        reason = f"does not know {', '.join(unknown)}; tables are {', '.join(sorted(tables))}"
        raise ConfigurationError({"CONVEX_SYNC_TABLES": reason})


rebuild_after_fork(ConnectionManager, lambda manager: manager._build_class())
