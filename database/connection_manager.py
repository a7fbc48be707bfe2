"""The adapters of one application in order of preference, and failover between them.

Writes and transactions go only to the first adapter, the primary, and are refused while it is unavailable. If the
primary cannot execute a read, the next adapter in order does, the read fallback, and the result states it (``source``,
``stale_for``). A transaction stays on its adapter, which can be the fallback if it only reads. The same holds if the
process starts while the primary is unavailable. Reads return to the primary when it has been healthy for a while. All
processes agree, because all of them check the same primary.
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
from database.failover.leading import Leading
from database.failover.reading import alone
from database.failover.reading import begun
from database.failover.reading import read
from database.failover.state import Failover
from database.internal_tables import ENTRIES
from database.registry import adapters_in_order

_AWAY = (CircuitOpen, ConnectFailed)
"""Errors that prove that the primary is unavailable."""


class ConnectionManager(Database):
    """The adapters of one application.

    :param settings: by default read from the environment.
    :param adapters: adapters by name, in order of preference, instead of those that the settings name.
    :param schema: the tables for the adapters that the settings name; by default those of the package
        ``settings.application_package``.
    :raises ConfigurationError: if the settings name no usable adapter or an undeclared table.
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
        self._clock = clock
        self._create_runtime_state()
        self._leave_numbers(self.primary_adapter)
        rebuild_after_fork(self, ConnectionManager._create_runtime_state, after=self.adapters.values())

    def _create_runtime_state(self) -> None:
        """Create the state that a forked child must not share: locks and listeners."""
        self._failover = Failover(self.adapters, self.settings.db_failback_after, self._clock)
        interval = self.settings.db_primary_check
        self._leading = Leading(self._failover, interval, self._leave_numbers, self._clock)

    @classmethod
    def _build_class(cls) -> None:
        cls._instance_lock = threading.Lock()

    @classmethod
    def get_instance(cls) -> ConnectionManager:
        """The manager of this process; created from the environment if the application has not set one."""
        with cls._instance_lock:
            if cls._instance is None:
                cls._instance = cls()
            return cls._instance

    @classmethod
    def set_instance(cls, manager: ConnectionManager | None) -> None:
        """Set the manager of this process; None removes the present one without closing it."""
        with cls._instance_lock:
            cls._instance = manager

    @classmethod
    def offer_instance(cls, manager: ConnectionManager) -> None:
        """Set the manager of this process, unless one is set already."""
        with cls._instance_lock:
            cls._instance = cls._instance or manager

    def connect(self) -> bool:
        """Ping the adapters in order until one responds; returns whether one does.

        The adapters before it are checked in the background, and calls return to them as after any outage.
        """
        return self._failover.connect()

    @property
    def primary_adapter(self) -> str:
        """The name of the primary: the first database, or the one that a move has recorded."""
        return self._failover.state.name

    def disconnect(self) -> bool:
        """Close all adapters; the next call connects again."""
        self._failover.disconnect()
        for adapter in self.adapters.values():
            adapter.disconnect()
        return True

    @property
    def active_adapter(self) -> str | None:
        """The name of the adapter that executes reads; None before the first call, and while no database responds."""
        return self._failover.answering(self._failover.now())

    @property
    def adapter(self) -> DatabaseAdapter:
        """The primary, which executes writes; connects if necessary. :raises Unavailable: if no database responds."""
        self._leading.check()
        self._leading.wait_while_held()
        return self._failover.connected().adapter

    def get_active_adapter(self) -> DatabaseAdapter | None:
        """The adapter that executes reads; None if no database responds."""
        try:
            self.adapter  # noqa: B018  # connects
        except Unavailable:
            return None
        name = self.active_adapter
        return None if name is None else self.adapters[name]

    def run_alone(self, operation: Operation) -> Result:
        if reads_only(operation):
            self._leading.check()
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
        """Like an adapter's; while the primary is unavailable, the transaction is a read-only one on the fallback."""
        self._leading.check()
        transaction, result = read(self._failover, operation, begun)
        assert transaction is not None
        return transaction, result

    def get_connection_info(self) -> dict[str, Any]:
        """The state of all adapters, without I/O: which one is active, and which one is the primary."""
        state = self._failover.now()
        return {
            "environment": self.settings.environment,
            "connection_mode": "auto" if len(self.adapters) > 1 else self.primary_adapter,
            "active_adapter": self._failover.answering(state),
            "primary_adapter": state.name,
            "epoch": state.epoch,
            "recorded_primary": self._leading.snapshot(),
            "degraded": state.health.away,
            "adapters": {name: adapter.get_connection_info() for name, adapter in self.adapters.items()},
        }

    @property
    def sync_pair(self) -> tuple[DatabaseAdapter, DatabaseAdapter] | None:
        """The two sides of sync: the first two databases, of which Convex is the second side; None if there is one."""
        pair = list(self.adapters.values())[:2]
        if len(pair) < 2:
            return None
        first, second = sorted(pair, key=lambda adapter: adapter.kind == "convex")
        return first, second

    def _leave_numbers(self, primary: str) -> None:
        """Let only one side of sync make numbers, whichever process syncs them: the chosen one, or a moved primary."""
        numbers = self.settings.convex.sync_numbers
        if numbers is None or self.sync_pair is None:
            return
        first, second = self.sync_pair
        maker, other = (first, second) if numbers in {"first", "supabase"} else (second, first)
        if primary != next(iter(self.adapters)) and self.adapters[primary] is other:
            maker, other = other, maker
        tables = self.settings.convex.sync_tables or [table.name for table in other.schema if not table.internal]
        maker.make_numbers()
        other.leave_numbers_to(maker.name, tables)

    def demand_callers(self) -> None:
        """Make all adapters refuse calls without a caller."""
        for adapter in self.adapters.values():
            adapter.demand_callers()

    def test_all_connections(self) -> dict[str, tuple[bool, str]]:
        """Ping every adapter."""
        return {name: adapter.test_connection() for name, adapter in self.adapters.items()}

    def _refusal(self, error: Unavailable) -> Unavailable:
        """The error for a write while the primary is unavailable."""
        others = ", ".join(name for name in self.adapters if name != self.primary_adapter)
        if not others:
            return error
        message = f"{self.primary_adapter} is unavailable; {others} executes reads only, no writes: retry later"
        return type(error)(message, backend=error.backend, operation=error.operation, retry_after=error.retry_after)


def _check_sync_tables(settings: Settings, schema: Schema) -> None:
    tables = [table.name for table in schema if not table.internal]
    if unknown := [name for name in settings.convex.sync_tables or () if name not in {*tables, ENTRIES}]:
        reason = f"names unknown tables: {', '.join(unknown)}; declared tables are {', '.join(sorted(tables))}"
        raise ConfigurationError({"CONVEX_SYNC_TABLES": reason})


rebuild_after_fork(ConnectionManager, lambda manager: manager._build_class())
