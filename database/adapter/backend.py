"""The base class of backends: one database of one kind, without the parts that all adapters share.

A backend executes operations and opens sessions; retries, access rules and the unit of work are elsewhere.
:class:`~database.adapter.base.DatabaseAdapter` owns one backend, opens it before the first call, and creates a new one
in a forked child.
"""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import ClassVar

from database.adapter.transactions import Session
from database.adapter.transactions import no_locks
from database.changes.feed import ReadChanges
from database.core.capabilities import Capabilities
from database.core.context import Context
from database.core.errors import InvalidQuery
from database.core.errors import Unsupported
from database.core.operations import Batch
from database.core.operations import Call
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import QueryCall
from database.core.operations import locks
from database.core.query.sql_text import SqlDialectName
from database.core.result import Result
from database.core.tables.schema import Schema
from database.resilience.pipeline import Pipeline
from database.resilience.settings import ResilienceSettings
from database.resilience.stages import Handler
from database.resilience.watchdog import Watchdog

_NEEDED: Mapping[type[Operation], str] = {Call: "calls", QueryCall: "calls", ReadChanges: "changes"}
"""The capability that an operation requires."""

REFUSABLE = frozenset({Batch, *_NEEDED})
"""Operations to check before a call; every backend supports all others, so they skip the check."""


@dataclass(frozen=True, slots=True)
class Setup:
    """The parameters from which an adapter creates its backend.

    :ivar name: the adapter's name, used in errors.
    :ivar config: the backend's own keys.
    :ivar watchdog: stops calls at their deadline.
    """

    name: str
    config: Mapping[str, Any]
    schema: Schema
    settings: ResilienceSettings
    watchdog: Watchdog


Opener = Callable[[Context], Session]


@dataclass(frozen=True, slots=True)
class Stages:
    """A backend's pipeline and the functions that it calls; they open the backend on the first call.

    :ivar handler: :attr:`Backend.handler`.
    :ivar open_session: :meth:`Backend.open_session`.
    :ivar open_reading_session: :meth:`Backend.open_reading_session`.
    """

    pipeline: Pipeline
    handler: Handler
    open_session: Opener
    open_reading_session: Opener


class Backend(ABC):
    """One database of one kind.

    :cvar config_keys: the configuration keys that it accepts.
    :cvar has_engine: whether SQLAlchemy can connect to it, for migrations and reflection.
    :raises TypeError: for a missing configuration key, and for a value of the wrong type.
    :raises ValueError: for an invalid value.
    """

    kind: ClassVar[str]
    config_keys: ClassVar[frozenset[str]] = frozenset()
    sql_dialect: SqlDialectName = "postgres"
    has_engine: ClassVar[bool] = False
    capabilities: Capabilities = Capabilities()
    isolation: str = "serializable"

    def __init__(self, setup: Setup) -> None:
        self.name = setup.name
        self.config = setup.config
        self.schema = setup.schema
        self.settings = setup.settings
        self.watchdog = setup.watchdog

    @abstractmethod
    def execute(self, operation: Operation, context: Context) -> Result:
        """Execute one operation on its own; it is atomic, and committed when this returns."""

    def prepared(self, operation: Insert) -> Insert:
        """As much of an insert as needs no connection; the rest of it. :raises InvalidRow: if a row is not valid."""
        return operation

    def open_session(self, context: Context) -> Session:
        """Begin an interactive transaction. :raises Unsupported: if the backend has none."""
        raise Unsupported("sessions", backend=self.name)

    def open_reading_session(self, context: Context) -> Session:
        """Begin an interactive transaction that reads one snapshot and blocks no writer until its own first change.

        Its first change, or its commit, raises ``SerializationFailure`` if the rows that it read have changed since.
        """
        return self.open_session(context)

    @abstractmethod
    def open(self, context: Context) -> None:
        """Prepare the backend for connections; called once before the first operation."""

    @abstractmethod
    def close(self) -> None:
        """Close all connections; the backend may be opened again."""

    @abstractmethod
    def abandon(self) -> None:
        """Drop connections inherited through a fork, without sending anything to the server."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The backend's location without secrets: host, port, path and the like."""

    def enforces_access(self, operation: Operation) -> bool | None:
        """Whether the backend itself applies rules of its own to a caller's ``operation``.

        None if this is unknown before a connection is open.
        """
        return self.capabilities.row_security

    def refuse_unsupported(self, operation: Operation) -> None:
        """Refuse an operation that the backend cannot execute outside of a transaction.

        :raises Unsupported: with the missing capability.
        :raises InvalidQuery: for a lock outside of a transaction.
        """
        if isinstance(operation, Batch):
            for part in operation.operations:
                self.refuse_unsupported(part)
            return
        if locks(operation):
            if not self.capabilities.locks:
                raise no_locks(self.name)
            raise InvalidQuery("a lock requires a transaction: make the call inside `with database.transaction():`")
        capability = _NEEDED.get(type(operation))
        if capability is not None and not getattr(self.capabilities, capability):
            raise Unsupported(capability, backend=self.name)

    # The way of its calls through a pipeline

    @property
    def handler(self) -> Handler:
        """The function that the pipeline calls, for one round trip; most operations are a single one."""
        return self.execute

    def call_through(self, stages: Stages) -> Handler:
        """A handler for calls on their own."""
        return stages.pipeline.call

    def call_inside(self, stages: Stages, handler: Handler) -> Handler:
        """A handler for calls inside a session, around the session's own."""
        return stages.pipeline.observe(handler)

    def begin(self, stages: Stages, context: Context, *, reads: bool) -> Session:
        """Open a session. It holds a permit of the pipeline until it ends."""
        opener = stages.open_reading_session if reads else stages.open_session
        return stages.pipeline.open_session(opener, context)
