"""Interactive transactions: what a backend implements, and what callers hold.

An operation that fails aborts the transaction on every backend alike, as PostgreSQL does: what follows is
refused until it is rolled back. To go on after a failure, let the part that may fail be a nested transaction.
"""

from __future__ import annotations

import threading
from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from typing import ClassVar
from typing import Literal
from typing import Protocol

from uuid_utils import uuid7

from database.changes.subscription import Callback
from database.changes.subscription import ErrorCallback
from database.changes.subscription import LiveQuery
from database.changes.subscription import Subscription
from database.core.capabilities import Capabilities
from database.core.context import Context
from database.core.context import current_context
from database.core.errors import BackendError
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import SerializationFailure
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.immutable import immutable
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.core.tables.schema import Schema
from database.resilience.stages import Handler

State = Literal["active", "aborted", "committed", "rolled_back", "expired", "unknown"]


@immutable
class Commit(Operation):
    """The end of a transaction, as the circuit breaker and the metrics see it."""

    kind: ClassVar[str] = "commit"


_COMMIT = Commit()


class Source(Protocol):
    """What a call is meant for: an adapter, or the manager that chooses one."""

    @property
    def adapter(self) -> BoundAdapter:
        """The adapter that writes go to. :raises Unavailable: when there is none."""

    def run_alone(self, operation: Operation) -> Result:
        """Carry out ``operation`` on its own, whatever unit of work is around."""


class BoundAdapter(Source, Protocol):
    """An adapter, as the transaction that is bound to it knows it."""

    @property
    def name(self) -> str:
        """As it appears in errors."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def schema(self) -> Schema:
        """The tables it knows."""

    def subscribe(self, query: LiveQuery, callback: Callback, on_error: ErrorCallback | None = None) -> Subscription:
        """Have a query's result delivered, now and whenever it changes."""


class Session(ABC):
    """An open transaction on one backend, used by one thread at a time."""

    @abstractmethod
    def execute(self, operation: Operation, context: Context) -> Result:
        """Carry out ``operation`` inside the transaction."""

    @abstractmethod
    def savepoint(self, name: str) -> None:
        """Mark a point to go back to."""

    @abstractmethod
    def release(self, name: str) -> None:
        """Forget a point; what came after it stays."""

    @abstractmethod
    def rollback_to(self, name: str) -> None:
        """Undo what came after a point."""

    @abstractmethod
    def commit(self, context: Context) -> None:
        """Make the changes last, and end the session whatever happens.

        :raises OutcomeUnknown: when the answer was lost.
        """

    @abstractmethod
    def rollback(self) -> None:
        """Undo all changes and end the session; never raises a backend's error."""


def no_locks(backend: str | None) -> Unsupported:
    """The error for a lock where transactions have none."""
    detail = (
        f"{backend or 'this backend'} cannot lock what a transaction reads; it compares that at the commit, so leave"
        " the lock out and repeat the transaction on SerializationFailure"
    )
    return Unsupported("locks", backend=backend, detail=detail)


class Transaction:
    """A transaction as callers hold it: what ``begin_transaction()`` returns and ``transaction()`` yields.

    :ivar state: ``active``; ``aborted`` after a failed operation; then ``committed``, ``rolled_back``, ``expired``
        if it outlived its deadline and was rolled back for that, or ``unknown`` if the commit's answer was lost.
    :param observed: every call of it passes through this handler, which ends at :func:`carry_out`.
    """

    __slots__ = (
        *("adapter", "state", "ticket", "_context", "_depth", "_ended", "_failure", "_id", "_inside", "_lock"),
        *("_observed", "_outside", "_overdue", "_session", "_thread", "__weakref__"),
    )

    def __init__(
        self,
        adapter: BoundAdapter,
        session: Session,
        context: Context,
        observed: Handler,
        ended: Callable[[Transaction], None],
    ) -> None:
        self.ticket = -1
        self.adapter = adapter
        self.state: State = "active"
        self._session = session
        self._context = context
        self._observed = observed
        self._ended = ended
        self._failure: BaseException | None = None
        self._overdue = False
        self._depth = 0
        self._lock = threading.RLock()
        self._thread = threading.get_ident()
        self._id: str | None = None
        # The context of the last call and the same inside of this transaction: mostly those of the next one.
        self._outside: Context | None = None
        self._inside = context

    @property
    def id(self) -> str:
        """A name for logs."""
        if self._id is None:
            self._id = str(uuid7())
        return self._id

    def execute(self, operation: Operation, context: Context) -> Result:
        """Carry out ``operation`` in this transaction.

        :raises TransactionError: when it is over or aborted.
        :raises BackendError: also when it is aborted because the backend failed, of the kind of that failure.
        """
        try:
            with self._lock:
                if self.state != "active":
                    self._require_active()
                if context is not self._outside:
                    self._outside, self._inside = context, context.inside(self, self._context.deadline)
                try:
                    return self._observed(operation, self._inside)
                except BaseException as error:
                    self._fail(error)
                    raise
        finally:
            if self._overdue:
                self.expire()

    def put_around(self, layer: Callable[[Handler], Handler]) -> None:
        """Have all calls from now on pass through ``layer`` first, the commit among them."""
        self._observed = layer(self._observed)

    def run(self, source: Source, operation: Operation) -> Result:
        """A plain call made while this transaction is the ambient one: joins it if it is its adapter's.

        A read of another backend is answered beside it; a write to another is refused, because the two could
        not be committed as one. So is a call of another thread, which does not know what this one is about to undo.
        """
        if self._thread != threading.get_ident():
            raise elsewhere()
        if source.adapter is self.adapter:
            return self.execute(operation, current_context.get())
        if reads_only(operation):
            return source.run_alone(operation)
        raise self._foreign(source)

    @contextmanager
    def nested(self, source: Source | None = None) -> Iterator[Transaction]:
        """A savepoint: an exception undoes what the block did, and the transaction goes on.

        :raises TransactionError: for a transaction of another adapter than this one's.
        """
        if source is not None and source.adapter is not self.adapter:
            raise self._foreign(source)
        with self._lock:
            self._require_active()
            self._depth += 1
            name = f"isthmus_{self._depth}"
            try:
                self._session.savepoint(name)
            except BaseException as error:
                self._depth -= 1
                self._fail(error)
                raise
        try:
            yield self
        except BaseException:
            # What the block met is what is told; that it could not be undone, the whole transaction tells.
            with suppress(DataError):
                self._leave(name, undo=True)
            raise
        self._leave(name, undo=self.state == "aborted")

    def commit(self) -> None:
        """Make the changes last.

        :raises SerializationFailure: when another transaction came first, now or at an operation that failed.
        :raises DataError: as :meth:`execute`; it is rolled back then.
        """
        with self._lock:
            if self.state == "aborted":
                failed = self._failed("the transaction had failed and was rolled back")
                self.rollback()
                raise failed
            self._require_active()
            try:
                self._observed(_COMMIT, self._context.inside(self, self._context.deadline))
                self.state = "committed"
            except DataError as error:
                if self.state == "unknown" and not isinstance(error, OutcomeUnknown):
                    self.state = "rolled_back"
                raise
            finally:
                if self.state == "active":
                    # The deadline had passed, and the session was not even asked.
                    self._end("expired")
                else:
                    self._let_go()

    def rollback(self) -> None:
        """Undo everything; does nothing if the transaction is already over."""
        with self._lock:
            if self.state in {"active", "aborted"}:
                self._failure = None
                self._end("rolled_back")

    def disconnect(self) -> None:
        """Roll back because the backend is disconnected; who still uses the transaction is told so."""
        with self._lock:
            if self.state in {"active", "aborted"}:
                self._failure = Unavailable("the backend was disconnected")
                self._end("rolled_back")

    def expire(self) -> None:
        """Roll back a transaction that outlived its deadline; if a call is under way, as soon as that ends."""
        self._overdue = True
        if self._lock.acquire(blocking=False):
            try:
                if self.state in {"active", "aborted"}:
                    self._end("expired")
            finally:
                self._lock.release()

    def _end(self, state: State) -> None:
        self.state = state
        try:
            self._session.rollback()
        finally:
            self._let_go()

    def _let_go(self) -> None:
        # The context has a reference to this transaction, which would keep both until a garbage collection.
        self._inside = self._context
        self._ended(self)

    def _leave(self, name: str, *, undo: bool) -> None:
        with self._lock:
            self._depth -= 1
            if self.state not in {"active", "aborted"}:
                return
            try:
                if undo:
                    self._session.rollback_to(name)
                    self.state, self._failure = "active", None
                self._session.release(name)
            except BaseException as error:
                self._fail(error)
                raise

    def _fail(self, error: BaseException) -> None:
        """Abort because of ``error``; of several, the first is the reason."""
        if self.state == "active":
            self.state, self._failure = "aborted", error

    def _failed(self, message: str) -> DataError:
        """The error for a transaction that failed. A failure of the backend does not become the caller's mistake."""
        failure = self._failure
        if isinstance(failure, BackendError | SerializationFailure):
            # Nor does a lost race of one who caught it and went on.
            return type(failure)(f"{message}: {failure}", backend=self.adapter.name, retry_after=failure.retry_after)
        return TransactionError(message, backend=self.adapter.name)

    def _foreign(self, source: Source) -> TransactionError:
        name = source.adapter.name
        return TransactionError(
            f"this transaction belongs to {self.adapter.name}; {name} cannot be changed inside it", backend=name
        )

    def _require_active(self) -> None:
        if self.state == "expired":
            raise TimedOut("the transaction outlived its deadline and was rolled back", backend=self.adapter.name)
        if self.state == "aborted":
            raise self._failed("the transaction has failed; roll it back")
        if self.state != "active":
            raise self._failed(f"the transaction is over ({self.state})")


def carry_out(operation: Operation, context: Context) -> Result:
    """Do what a call inside a transaction is about, below all stages: it is for the session of its transaction."""
    transaction: Transaction = context.transaction
    if operation is not _COMMIT:
        return transaction._session.execute(operation, context)
    # Whatever ends it before its answer is known, a signal for instance.
    transaction.state = "unknown"
    transaction._session.commit(context)
    return Result()


def elsewhere() -> TransactionError:
    """The refusal of a call that was carried into another thread together with the unit of work around it."""
    return TransactionError(
        "A unit of work is used by its own thread only. Give another thread in_callers_name(function) of "
        "the package database: its calls have the same caller and are on their own."
    )
