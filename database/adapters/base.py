"""The public face of every backend, built once on the seam.

A backend implements ``execute(operation, context)``, ``open_session(context)`` where it has interactive
transactions, and how to open, close and describe itself. Everything else is here: the pipeline around each
call, joining the ambient unit of work, the documented methods and the query builder.
"""

from __future__ import annotations

import logging
import os
import weakref
from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from functools import partial
from threading import RLock
from threading import Thread
from typing import Any
from typing import ClassVar

from config.tables import metadata
from database.adapters.access import AccessRules
from database.adapters.face import Database
from database.adapters.session import Session
from database.adapters.session import Transaction
from database.adapters.session import carry_out
from database.adapters.session import no_locks
from database.adapters.translation.uses import SqlDialectName
from database.changes.feed import MAX_PAGE
from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.changes.subscription import Callback
from database.changes.subscription import ErrorCallback
from database.changes.subscription import LiveQuery
from database.changes.subscription import Subscription
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
from database.core.operations import Batch
from database.core.operations import Call
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import QueryCall
from database.core.operations import locks
from database.core.result import Result
from database.core.schema import Schema
from database.resilience.pipeline import Pipeline
from database.resilience.policy import Handler
from database.resilience.policy import ResilienceSettings
from database.resilience.watchdog import Watchdog

logger = logging.getLogger(__name__)

_RESILIENCE_KEYS = ("timeout", "retry_count", "circuit_breaker_threshold", "circuit_breaker_timeout", "max_concurrency")
_NEEDED: Mapping[type[Operation], str] = {Call: "calls", QueryCall: "calls", ReadChanges: "changes"}
"""The capability that an operation takes."""

_REFUSABLE = frozenset({Batch, *_NEEDED})
"""Operations to look into; all others every backend can do, and they are not held up."""

_adapters: weakref.WeakSet[DatabaseAdapter] = weakref.WeakSet()


@cache
def declared_schema() -> Schema:
    """The tables of :mod:`config.tables`."""
    return Schema.of(metadata)


class DatabaseAdapter(Database):
    """One backend.

    :param config: the backend's own keys, and ``timeout``, ``retry_count``, ``circuit_breaker_threshold``,
        ``circuit_breaker_timeout`` and ``max_concurrency`` of
        :class:`~database.resilience.policy.ResilienceSettings`; 0 is a value.
    :param schema: the tables it knows; those of :mod:`config.tables` by default.
    :param name: as it appears in errors, metrics and status; the kind of adapter by default.
    :raises TypeError: for a key that the adapter does not know.
    """

    kind: ClassVar[str]
    capabilities: Capabilities = Capabilities()
    isolation: str = "serializable"
    config_keys: ClassVar[frozenset[str]] = frozenset()
    sql_dialect: SqlDialectName = "postgres"

    def __init__(
        self, config: Mapping[str, Any] | None = None, schema: Schema | None = None, name: str | None = None
    ) -> None:
        self.config = dict(config or {})
        unknown = self.config.keys() - self.config_keys - set(_RESILIENCE_KEYS)
        if unknown:
            known = ", ".join(sorted({*self.config_keys, *_RESILIENCE_KEYS}))
            raise TypeError(f"{type(self).__name__} does not know {', '.join(sorted(unknown))}; it knows {known}")
        self.name = name or self.kind
        self.schema = schema or declared_schema()
        self.settings = ResilienceSettings(**{key: self.config[key] for key in _RESILIENCE_KEYS if key in self.config})
        self.access = AccessRules(self)
        self._begin_anew()
        _adapters.add(self)

    def _begin_anew(self) -> None:
        self._build()
        # Around whatever the adapter has made of its pipeline, so that no call of a caller passes the rules by.
        self._call = self.access.enforced(self._stages())
        self._call_inside = self.access.enforced(self._stages_inside(carry_out))

    def _build(self) -> None:
        """Everything that must not be shared with a forked child: locks, threads, connections."""
        self._opened = False
        self._lock = RLock()
        self._transactions: set[Transaction] = set()
        self.watchdog = Watchdog()
        self.pipeline = Pipeline(self.name, self._execute_open, self.settings)
        self._subscriptions = Subscriptions(self.name, self._followed)

    # The seam

    @abstractmethod
    def execute(self, operation: Operation, context: Context) -> Result:
        """Carry out one operation on its own; atomic, committed when it returns."""

    def open_session(self, context: Context) -> Session:
        """Begin an interactive transaction. :raises Unsupported: where the backend has none."""
        raise Unsupported("sessions", backend=self.name)

    def open_reading_session(self, context: Context) -> Session:
        """Begin an interactive transaction that sees one state and keeps nobody from writing before it writes.

        Its first change, or its commit, is a ``SerializationFailure`` if what it has read is out of date by then.
        """
        return self.open_session(context)

    @abstractmethod
    def open(self, context: Context) -> None:
        """Make ready to connect; called once before the first operation."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections; the adapter may be opened again."""

    @abstractmethod
    def abandon(self) -> None:
        """Forget connections inherited through a fork, without a word to the server they belong to."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Where this backend is, without secrets: host, port, path and the like."""

    # Callers

    def judges(self, operation: Operation) -> bool:
        """Whether the backend itself applies rules of its own to a caller's ``operation``."""
        return self.capabilities.row_security

    def demand_callers(self) -> None:
        """Refuse from now on what nobody says the caller of; the application's own calls say ``as_application()``."""
        self.access.demand_caller = True

    # Calls

    def run(self, operation: Operation) -> Result:
        """Carry out ``operation``: in the ambient unit of work if there is one, else on its own."""
        unit = active_unit.get()
        if unit is None:
            return self._call(operation, current_context.get())
        return unit.run(self, operation)

    def run_alone(self, operation: Operation) -> Result:
        """Carry out ``operation`` on its own, whatever unit of work is around."""
        return self._call(operation, current_context.get())

    @property
    def adapter(self) -> DatabaseAdapter:
        """Itself: what a transaction on this adapter is bound to."""
        return self

    # Changes

    def changes(self, cursor: str | None = None, limit: int = MAX_PAGE) -> Changes:
        """The committed changes behind a cursor, in the order of their commits.

        :param cursor: of an earlier page; None for the present end of the feed, without any changes.
        :param limit: the most changes to return, from 1 to :data:`~database.changes.feed.MAX_PAGE`.
        :raises Unsupported: where the backend has no feed, before any I/O.
        :raises InvalidQuery: for a cursor that is none of this backend's, and for another limit.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise InvalidQuery(f"the limit of a page of changes is from 1 to {MAX_PAGE}")
        page: Changes = self._call(ReadChanges(cursor, limit), current_context.get()).value
        return page

    def subscribe(self, query: LiveQuery, callback: Callback, on_error: ErrorCallback | None = None) -> Subscription:
        """Do for a finished query what :meth:`~database.adapters.builder.TableQuery.subscribe` does."""
        if not self.capabilities.changes:
            raise Unsupported("changes", backend=self.name)
        self.access.require_caller(current_context.get(), "subscribe")
        return self._subscriptions.add(query, callback, on_error)

    def _followed(self, cursor: str | None, limit: int = MAX_PAGE) -> Changes:
        """The feed for the subscriptions, each of which asks again as its own subscriber."""
        with as_application():
            return self.changes(cursor, limit)

    # Transactions

    def begin_transaction(self, *, reads: bool = False) -> Transaction:
        """Open a transaction; it is rolled back by itself if it outlives its deadline.

        :param reads: it is expected to read only, so on a backend with one writer at a time it keeps nobody from
            writing until its first change.
        :raises Unsupported: where the backend has no interactive transactions.
        """
        if not self.capabilities.sessions:
            raise Unsupported("sessions", backend=self.name)
        context = current_context.get()
        self.access.require_caller(context, "begin")
        if self.settings.timeout:
            context = context.until(monotonic() + self.settings.timeout)
        session = self._begin(context, reads=reads)
        transaction = Transaction(self, session, context, self._call_inside, self._transaction_ended)
        self._transactions.add(transaction)
        transaction.ticket = self.watchdog.watch(context.deadline, partial(_expire, transaction))
        return transaction

    def _begin(self, context: Context, *, reads: bool) -> Session:
        return self.pipeline.open_session(self._open_reading_session if reads else self._open_session, context)

    def _stages_inside(self, handler: Handler) -> Handler:
        """What every call of a session passes through, below the access rules."""
        return self.pipeline.observe(handler)

    def _stages(self) -> Handler:
        """What every other call passes through, below the access rules."""
        return self.pipeline.call

    def _transaction_ended(self, transaction: Transaction) -> None:
        self._transactions.discard(transaction)
        self.watchdog.done(transaction.ticket)
        self.pipeline.release_session()

    # Connection

    def connect(self) -> bool:
        """Open the backend and ask for a sign of life; False, and a line in the log, if there is none."""
        try:
            self._ensure_open()
            asking = current_context.get().acting_as(SERVICE)
            self.execute(Ping(), asking.until(monotonic() + (self.settings.timeout or 30)))
        except DataError as error:
            logger.warning("%s did not connect: %s", self.name, error)
            return False
        self.pipeline.guard.reset()
        return True

    def disconnect(self) -> bool:
        """End subscriptions, roll back open transactions and close all connections; True also if there were none."""
        self._subscriptions.end()
        for transaction in list(self._transactions):
            transaction.disconnect()
        with self._lock:
            self.pipeline.close()
            if self._opened:
                self._opened = False
                self.close()
        return True

    @property
    def connected(self) -> bool:
        """Whether the backend is open and, as far as the last calls tell, answers."""
        return self._opened and self.pipeline.guard.state == "closed"

    def get_connection_info(self) -> dict[str, Any]:
        """What is known of the backend without asking it: its place, its circuit, its open transactions."""
        return {
            "type": self.kind,
            "adapter_type": self.kind,
            "name": self.name,
            "connected": self.connected,
            "active_transactions": len(self._transactions),
            "isolation": self.isolation,
            **self.describe(),
            **self.pipeline.snapshot(),
        }

    def test_connection(self) -> tuple[bool, str]:
        """Ask the backend for a sign of life, through the same guard as every call."""
        try:
            # Whether it answers is the application's question, whoever is curious.
            self._call(Ping(), current_context.get().acting_as(SERVICE))
        except DataError as error:
            return False, f"Connection error: {error}"
        return True, "Connection successful"

    def _execute_open(self, operation: Operation, context: Context) -> Result:
        if type(operation) in _REFUSABLE or getattr(operation, "lock", False):
            self._refuse_unsupported(operation)
        if not self._opened:
            self._ensure_open(context)
        return self.execute(operation, context)

    def _refuse_unsupported(self, operation: Operation) -> None:
        if isinstance(operation, Batch):
            for part in operation.operations:
                self._refuse_unsupported(part)
            return
        if locks(operation):
            if not self.capabilities.locks:
                raise no_locks(self.name)
            raise InvalidQuery("a lock lasts as long as its transaction, so it takes a transaction()")
        capability = _NEEDED.get(type(operation))
        if capability is not None and not getattr(self.capabilities, capability):
            raise Unsupported(capability, backend=self.name)

    def _open_session(self, context: Context) -> Session:
        if not self._opened:
            self._ensure_open(context)
        return self.open_session(context)

    def _open_reading_session(self, context: Context) -> Session:
        if not self._opened:
            self._ensure_open(context)
        return self.open_reading_session(context)

    def _ensure_open(self, context: Context | None = None) -> None:
        with self._lock:
            if not self._opened:
                self.open(context or current_context.get())
                self.pipeline.start()
                self._opened = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


def _expire(transaction: Transaction) -> None:
    # Not in the watchdog's thread: while that waits for a silent server, nobody's deadline would be kept.
    Thread(target=transaction.expire, name="isthmus-expire", daemon=True).start()


def _after_fork() -> None:
    """In the child: what was inherited belongs to the parent, so begin anew."""
    for adapter in list(_adapters):
        if adapter._opened:
            adapter.abandon()
        adapter._begin_anew()


os.register_at_fork(after_in_child=_after_fork)
