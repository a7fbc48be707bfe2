"""The adapter: the public interface of every backend, built once.

A call passes through the access rules, the stages of the pipeline, and then :meth:`Backend.execute
<database.adapter.backend.Backend.execute>`, or inside a transaction its session. This module combines the backend with
everything else: pipeline, access rules, transactions, subscriptions and the public methods.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from collections.abc import Set
from functools import partial
from threading import RLock
from typing import Any
from typing import ClassVar

from database.adapter.access_control import AccessRules
from database.adapter.backend import REFUSABLE
from database.adapter.backend import Backend
from database.adapter.backend import Setup
from database.adapter.backend import Stages
from database.adapter.interface import Database
from database.adapter.numbering import numbered_elsewhere
from database.adapter.transactions import Session
from database.adapter.transactions import Transaction
from database.adapter.transactions import carry_out
from database.changes.feed import MAX_PAGE
from database.changes.feed import PAGE
from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.changes.followed import require_followed
from database.changes.subscription import ErrorCallback
from database.changes.subscription import Followed
from database.changes.subscription import Subscription
from database.changes.subscription import Told
from database.changes.subscriptions import Subscriptions
from database.core.capabilities import Capabilities
from database.core.clock import monotonic
from database.core.context import SERVICE
from database.core.context import Context
from database.core.context import active_unit
from database.core.context import as_application
from database.core.context import current_context
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import Unsupported
from database.core.lifecycle import in_background
from database.core.lifecycle import rebuild_after_fork
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import Select
from database.core.query.sql_text import SqlDialectName
from database.core.query.targets import key_filters
from database.core.result import Result
from database.core.result import Row
from database.core.tables.keys import checked_key
from database.core.tables.schema import Schema
from database.declared import declared_schema
from database.resilience.pipeline import Pipeline
from database.resilience.retry import Sleep
from database.resilience.settings import ResilienceSettings
from database.resilience.watchdog import Watchdog

logger = logging.getLogger(__name__)

_RESILIENCE_KEYS = ("timeout", "retry_count", "circuit_breaker_threshold", "circuit_breaker_timeout", "max_concurrency")


class DatabaseAdapter(Database):
    """One backend.

    :param config: the backend's own keys, and ``timeout``, ``retry_count``, ``circuit_breaker_threshold``,
        ``circuit_breaker_timeout`` and ``max_concurrency`` of
        :class:`~database.resilience.settings.ResilienceSettings`, which explains the meaning of 0.
    :param schema: the tables; those of :func:`~database.declared.declared_schema` by default.
    :param name: the name in errors, metrics and status; the kind of the backend by default.
    :raises TypeError: for an unknown configuration key.
    """

    backend_class: ClassVar[type[Backend]]
    backend: Backend
    _sleep: Sleep | None = None

    def __init__(
        self, config: Mapping[str, Any] | None = None, schema: Schema | None = None, name: str | None = None
    ) -> None:
        self.config = dict(config or {})
        known_keys = {*self.backend_class.config_keys, *_RESILIENCE_KEYS}
        unknown = self.config.keys() - known_keys
        if unknown:
            known = ", ".join(sorted(known_keys))
            raise TypeError(
                f"{type(self).__name__} has no configuration key {', '.join(sorted(unknown))}; its keys are {known}"
            )
        self.name = name or self.kind
        self.schema = schema or declared_schema()
        self.settings = ResilienceSettings(**{key: self.config[key] for key in _RESILIENCE_KEYS if key in self.config})
        self.access = AccessRules(self)
        self._makers: dict[str, str] = {}
        self._create_runtime_state()
        rebuild_after_fork(self, DatabaseAdapter._begin_in_child)

    def _begin_in_child(self) -> None:
        """Replace everything that the fork has copied from the parent."""
        if self._opened:
            self.backend.abandon()
        self._create_runtime_state()

    def _create_runtime_state(self) -> None:
        """Create everything that a forked child must not share with its parent: locks, threads, connections."""
        self._opened = False
        self._lock = RLock()
        self._transactions: set[Transaction] = set()
        self._watchdog = Watchdog()
        self.backend = self._make_backend(Setup(self.name, self.config, self.schema, self.settings, self._watchdog))
        self._handler = self.backend.handler
        self.pipeline = Pipeline(self.name, self._execute, self.settings, sleep=self._sleep)
        self._stages = Stages(self.pipeline, self._execute, self._open_session, self._open_reading_session)
        self._build_calls()
        self._subscriptions = Subscriptions(self.name, self._read_feed, self._read_changed)

    def _build_calls(self) -> None:
        """Build the way of the calls, on their own and inside transactions."""
        handlers = self.backend.call_through(self._stages), self.backend.call_inside(self._stages, carry_out)
        self._call, self._call_inside = (
            self.access.enforced(numbered_elsewhere(handler, self.schema, self._makers)) for handler in handlers
        )

    def _make_backend(self, setup: Setup) -> Backend:
        return self.backend_class(setup)

    # The backend

    @property
    def kind(self) -> str:
        """The kind of the backend."""
        return self.backend_class.kind

    @property
    def capabilities(self) -> Capabilities:
        """The features that the backend supports."""
        return self.backend.capabilities

    @property
    def isolation(self) -> str:
        """The isolation level of its transactions, as SQL names it."""
        return self.backend.isolation

    @property
    def sql_dialect(self) -> SqlDialectName:
        """The dialect of its SQL text."""
        return self.backend.sql_dialect

    def describe(self) -> dict[str, Any]:
        """The backend's location without secrets: host, port, path and the like."""
        return self.backend.describe()

    def opened(self, context: Context | None = None) -> Backend:
        """The backend, ready for calls. :raises DataError: if it cannot be opened."""
        if not self._opened:
            with self._lock:
                if not self._opened:
                    self.backend.open(context or current_context.get())
                    self.pipeline.start()
                    self._opened = True
        return self.backend

    # Callers

    def enforces_access(self, operation: Operation) -> bool:
        """Whether the backend itself applies rules of its own to a caller's ``operation``."""
        judges = self.backend.enforces_access(operation)
        if judges is None:
            self.pipeline.call(Ping(), current_context.get())
            judges = self.backend.enforces_access(operation)
        return bool(judges)

    def demand_callers(self) -> None:
        """Refuse calls without an identity from now on; the application makes its own calls in ``as_application()``."""
        self.access.demand_caller = True

    def leave_numbers_to(self, maker: str, tables: Iterable[str]) -> None:
        """Refuse new records without a key from now on in the tables among these that the database numbers.

        Another database makes their numbers, and two-way sync copies the records. SQL text is not affected.

        :param maker: the name of that database.
        """
        numbered = (name for name in tables if name in self.schema and self.schema.table(name).numbered)
        self._makers |= dict.fromkeys(numbered, maker)
        self._build_calls()

    def make_numbers(self) -> None:
        """Make the numbers of all tables here from now on: the reverse of :meth:`leave_numbers_to`."""
        if self._makers:
            self._makers = {}
            self._build_calls()

    # Calls

    def run(self, operation: Operation) -> Result:
        """Execute ``operation``: in the current unit of work if there is one, otherwise on its own."""
        unit = active_unit.get()
        if unit is None:
            return self._call(operation, current_context.get())
        return unit.run(self, operation)

    def run_in(self, context: Context, operation: Operation) -> Result:
        """As :meth:`run`, with the identity and the deadline of ``context`` instead of the current ones."""
        # Without a unit of work, nothing looks for the current context.
        return self._call(operation, context) if active_unit.get() is None else super().run_in(context, operation)

    def run_alone(self, operation: Operation) -> Result:
        """Execute ``operation`` on its own, outside of any current unit of work."""
        return self._call(operation, current_context.get())

    def prepared(self, operation: Insert) -> Insert:
        """The same insert, whose rows are checked and encoded already: another thread can do that while this one waits.

        The rows must not be changed afterwards. Not for inserts that return them.

        :raises InvalidRow: names the first row that is not valid, and its column.
        """
        return self.backend.prepared(operation)

    @property
    def adapter(self) -> DatabaseAdapter:
        """This adapter: transactions are bound to an adapter, never to the manager that selects it."""
        return self

    # Changes

    def changes(self, cursor: str | None = None, limit: int = PAGE) -> Changes:
        """Read the committed changes after a cursor, in the order of their commits.

        :param cursor: that of an earlier page; None for the current end of the feed, without changes.
        :param limit: the maximum number of changes, from 1 to :data:`~database.changes.feed.MAX_PAGE`. There may be
            fewer in the page although it has ``more``.
        :raises Unsupported: if the backend has no change feed; before any I/O.
        :raises InvalidQuery: for a cursor of another backend, and for a limit out of range.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidQuery(f"the limit of changes() must be from 1 to {MAX_PAGE}, not {limit}")
        page: Changes = self._call(ReadChanges(cursor, limit), current_context.get()).value
        return page

    def subscribe(
        self, query: Followed[Told], callback: Callable[[Told], object], on_error: ErrorCallback | None = None
    ) -> Subscription:
        """Follow a built query, as ``subscribe`` and ``on_changes`` of ``table()`` do."""
        if not self.capabilities.changes:
            raise Unsupported("changes", backend=self.name)
        self.access.require_caller(current_context.get(), "subscribe")
        require_followed(self, query.tables)
        return self._subscriptions.add(query, callback, on_error)

    def _read_feed(self, cursor: str | None, limit: int = PAGE) -> Changes:
        """Read the feed for the subscriptions; each of them then repeats its query with its subscriber's identity."""
        with as_application():
            return self.changes(cursor, limit)

    def _read_changed(self, table: str, addresses: Set[str]) -> Sequence[Row] | None:
        """Read changed records for all subscriptions, to find those that they concern."""
        schema = self.schema.table(table)
        rows: list[Row] = []
        with as_application():
            for where in key_filters(schema, [checked_key(schema, one) for one in addresses]):
                found = self.run_alone(Select(table, where=where))
                if found.unreadable:
                    return None
                rows += found.rows
        return rows

    # Transactions

    def begin_transaction(self, *, reads: bool = False) -> Transaction:
        """Open a transaction; it is rolled back automatically at its deadline.

        :param reads: the transaction is expected only to read, so on a backend with a single writer it blocks no
            other one until its first change.
        :raises Unsupported: if the backend has no interactive transactions.
        """
        if not self.capabilities.sessions:
            raise Unsupported("sessions", backend=self.name)
        context = current_context.get()
        self.access.require_caller(context, "begin")
        if self.settings.timeout:
            context = context.until(monotonic() + self.settings.timeout)
        session = self.backend.begin(self._stages, context, reads=reads)
        transaction = Transaction(self, session, context, self._call_inside, self._transaction_ended)
        self._transactions.add(transaction)
        transaction.ticket = self._watchdog.watch(context.deadline, partial(_expire, transaction))
        return transaction

    def _transaction_ended(self, transaction: Transaction) -> None:
        self._transactions.discard(transaction)
        self._watchdog.done(transaction.ticket)
        self.pipeline.release_session()

    # Connection

    def connect(self) -> bool:
        """Open the backend and ping it; if that fails, log a warning and return False."""
        try:
            asking = current_context.get().acting_as(SERVICE)
            self.opened().execute(Ping(), asking.until(monotonic() + (self.settings.timeout or 30)))
        except DataError as error:
            logger.warning("cannot connect to %s: %s", self.name, error)
            return False
        self.pipeline.circuit_breaker.reset()
        return True

    def disconnect(self) -> bool:
        """End subscriptions, roll back open transactions and close all connections; always returns True."""
        self._subscriptions.end()
        for transaction in list(self._transactions):
            transaction.disconnect()
        with self._lock:
            self.pipeline.close()
            if self._opened:
                self._opened = False
                self.backend.close()
        return True

    @property
    def connected(self) -> bool:
        """Whether the backend is open and its circuit breaker closed."""
        return self._opened and self.pipeline.circuit_breaker.state == "closed"

    def get_connection_info(self) -> dict[str, Any]:
        """The backend's location, circuit breaker state, open transactions and subscriptions; makes no call."""
        return {
            "type": self.kind,
            "adapter_type": self.kind,
            "name": self.name,
            "connected": self.connected,
            "active_transactions": len(self._transactions),
            "isolation": self.isolation,
            "subscriptions": self._subscriptions.describe(),
            **self.backend.describe(),
            **self.pipeline.snapshot(),
        }

    def test_connection(self) -> tuple[bool, str]:
        """Ping the backend through its pipeline; returns whether it succeeded, and a message."""
        try:
            # As the application: no access rule applies, and no identity is required.
            self._call(Ping(), current_context.get().acting_as(SERVICE))
        except DataError as error:
            return False, f"Connection error: {error}"
        return True, "Connection successful"

    # Called by the pipeline

    def _execute(self, operation: Operation, context: Context) -> Result:
        if type(operation) in REFUSABLE or getattr(operation, "lock", False):
            self.backend.refuse_unsupported(operation)
        if not self._opened:
            self.opened(context)
        return self._handler(operation, context)

    def _open_session(self, context: Context) -> Session:
        return self.opened(context).open_session(context)

    def _open_reading_session(self, context: Context) -> Session:
        return self.opened(context).open_reading_session(context)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def _expire(transaction: Transaction) -> None:
    # Not in the watchdog's thread: a rollback may wait for the server, and would delay all other deadlines.
    in_background("isthmus-expire", transaction.expire)
