"""What one kind of database is, without what every adapter puts around it.

A backend carries out operations and opens sessions; it knows nothing of retries, access rules or the unit of work.
:class:`~database.adapter.base.DatabaseAdapter` is composed of one, makes a new one in a forked child, and opens it
before the first call.
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
"""The capability that an operation takes."""

REFUSABLE = frozenset({Batch, *_NEEDED})
"""Operations to look into; all others every backend can do, and they are not held up."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What an adapter makes its backend of.

    :ivar name: as it appears in errors.
    :ivar config: the backend's own keys.
    :ivar watchdog: ends what outlives its deadline.
    """

    name: str
    config: Mapping[str, Any]
    schema: Schema
    settings: ResilienceSettings
    watchdog: Watchdog


Opener = Callable[[Context], Session]


@dataclass(frozen=True, slots=True)
class Stages:
    """A backend's pipeline, and what it calls; the functions open the backend where it is not open yet.

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

    :cvar config_keys: the keys of the configuration that it knows.
    :cvar has_engine: whether SQLAlchemy reaches it, for migrations and reflection.
    :raises TypeError: for a configuration that lacks something, and for values of the wrong kind.
    :raises ValueError: for values that it does not know.
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
        """Close all connections; the backend may be opened again."""

    @abstractmethod
    def abandon(self) -> None:
        """Forget connections inherited through a fork, without a word to the server they belong to."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """Where this backend is, without secrets: host, port, path and the like."""

    def enforces_access(self, operation: Operation) -> bool | None:
        """Whether the backend itself applies rules of its own to a caller's ``operation``.

        None if only an open connection tells.
        """
        return self.capabilities.row_security

    def refuse_unsupported(self, operation: Operation) -> None:
        """Let through what the backend can do on its own.

        :raises Unsupported: names the capability that it lacks.
        :raises InvalidQuery: for a lock outside of a transaction.
        """
        if isinstance(operation, Batch):
            for part in operation.operations:
                self.refuse_unsupported(part)
            return
        if locks(operation):
            if not self.capabilities.locks:
                raise no_locks(self.name)
            raise InvalidQuery("a lock lasts as long as its transaction, so it takes a transaction()")
        capability = _NEEDED.get(type(operation))
        if capability is not None and not getattr(self.capabilities, capability):
            raise Unsupported(capability, backend=self.name)

    # How its calls pass through a pipeline

    @property
    def handler(self) -> Handler:
        """What the pipeline calls: one call of the server. Most operations are no more than that."""
        return self.execute

    def call_through(self, stages: Stages) -> Handler:
        """A handler for calls on their own."""
        return stages.pipeline.call

    def call_inside(self, stages: Stages, handler: Handler) -> Handler:
        """A handler for calls inside a session, around the session's own."""
        return stages.pipeline.observe(handler)

    def begin(self, stages: Stages, context: Context, *, reads: bool) -> Session:
        """Open a session. It holds a permit of the pipeline, which is handed back when it has ended."""
        opener = stages.open_reading_session if reads else stages.open_session
        return stages.pipeline.open_session(opener, context)
