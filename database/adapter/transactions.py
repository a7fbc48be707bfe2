"""Interactive transactions: the session that a backend implements, and the transaction that callers use.

On every backend a failed operation aborts the transaction, as on PostgreSQL: all later operations are refused until it
is rolled back. To continue after a failure, put the part that may fail in a nested transaction.
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

from database.changes.subscription import ErrorCallback
from database.changes.subscription import Followed
from database.changes.subscription import Subscription
from database.changes.subscription import Told
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
    """The commit of a transaction, as an operation for the circuit breaker and the metrics."""

    kind: ClassVar[str] = "commit"


_COMMIT = Commit()
_COMMITTED = Result()
"""The result of every commit, which nobody reads."""


class Source(Protocol):
    """The target of a call: an adapter, or the manager that selects one."""

    @property
    def adapter(self) -> BoundAdapter:
        """The adapter that receives writes. :raises Unavailable: if there is none."""

    def run_alone(self, operation: Operation) -> Result:
        """Execute ``operation`` on its own, outside of any current unit of work."""


class BoundAdapter(Source, Protocol):
    """The interface of an adapter for the transactions bound to it."""

    @property
    def name(self) -> str:
        """The adapter's name, used in errors."""

    @property
    def capabilities(self) -> Capabilities:
        """The features that the backend supports."""

    @property
    def schema(self) -> Schema:
        """The adapter's tables."""

    def subscribe(
        self, query: Followed[Told], callback: Callable[[Told], object], on_error: ErrorCallback | None = None
    ) -> Subscription:
        """Call ``callback`` with what is followed."""


class Session(ABC):
    """An open transaction on one backend, used by one thread at a time."""

    @abstractmethod
    def execute(self, operation: Operation, context: Context) -> Result:
        """Execute ``operation`` inside the transaction."""

    @abstractmethod
    def savepoint(self, name: str) -> None:
        """Create a savepoint."""

    @abstractmethod
    def release(self, name: str) -> None:
        """Release a savepoint; the changes after it are kept."""

    @abstractmethod
    def rollback_to(self, name: str) -> None:
        """Undo the changes after a savepoint."""

    @abstractmethod
    def commit(self, context: Context) -> None:
        """Commit, and end the session even if that fails.

        :raises OutcomeUnknown: if the response was lost.
        """

    @abstractmethod
    def rollback(self) -> None:
        """Roll back and end the session; never raises a backend's error."""


def no_locks(backend: str | None) -> Unsupported:
    """The error for a lock on a backend without locks."""
    detail = (
        f"{backend or 'this backend'} cannot lock rows; it checks at the commit that the rows read have not changed, so"
        " omit the lock and retry the transaction on SerializationFailure"
    )
    return Unsupported("locks", backend=backend, detail=detail)


class Transaction:
    """A transaction for callers: ``begin_transaction()`` returns and ``transaction()`` yields one.

    :ivar state: ``active``; ``aborted`` after a failed operation; then ``committed``, ``rolled_back``, ``expired``
        if it was rolled back at its deadline, or ``unknown`` if the response to the commit was lost.
    :param observed: the handler of all calls of the transaction; its innermost function is :func:`carry_out`.
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
        # A cache of one entry: the context of the last call, and the one derived from it for this transaction.
        self._outside: Context | None = None
        self._inside = context

    @property
    def id(self) -> str:
        """An identifier for logs."""
        if self._id is None:
            self._id = str(uuid7())
        return self._id

    def execute(self, operation: Operation, context: Context) -> Result:
        """Execute ``operation`` in this transaction.

        :raises TransactionError: if the transaction has ended or is aborted.
        :raises BackendError: also if it is aborted because the backend failed; then of the same class as that error.
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
        """Wrap all later calls in ``layer``, including the commit."""
        self._observed = layer(self._observed)

    def run(self, source: Source, operation: Operation) -> Result:
        """Execute a call made while this is the current transaction; a call on its own adapter joins it.

        A read of another backend runs outside of it. A write to another backend is refused, because the two cannot be
        committed atomically. So is a call of another thread, which cannot know whether this one will roll back.
        """
        if self._thread != threading.get_ident():
            raise elsewhere()
        if source is self.adapter or source.adapter is self.adapter:
            return self.execute(operation, current_context.get())
        if reads_only(operation):
            return source.run_alone(operation)
        raise self._foreign(source)

    @contextmanager
    def nested(self, source: Source | None = None) -> Iterator[Transaction]:
        """A savepoint: an exception rolls back the block's changes, and the transaction remains usable.

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
            # Raise the block's own error. If the savepoint cannot be rolled back, the transaction is aborted.
            with suppress(DataError):
                self._leave(name, undo=True)
            raise
        self._leave(name, undo=self.state == "aborted")

    def commit(self) -> None:
        """Commit.

        :raises SerializationFailure: if another transaction has committed a conflicting change first; also if an
            earlier operation failed for this reason.
        :raises DataError: as :meth:`execute`; the transaction is then rolled back.
        """
        with self._lock:
            if self.state == "aborted":
                failed = self._failed("the transaction was rolled back because an operation in it failed")
                self.rollback()
                raise failed
            if self.state != "active":
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
                    # The deadline passed before the commit was sent.
                    self._end("expired")
                else:
                    self._release()

    def rollback(self) -> None:
        """Roll back; does nothing if the transaction has already ended."""
        with self._lock:
            if self.state in {"active", "aborted"}:
                self._failure = None
                self._end("rolled_back")

    def disconnect(self) -> None:
        """Roll back because the backend is disconnected; later calls raise :class:`Unavailable`."""
        with self._lock:
            if self.state in {"active", "aborted"}:
                self._failure = Unavailable("the backend was disconnected")
                self._end("rolled_back")

    def expire(self) -> None:
        """Roll back the transaction at its deadline; if a call is running, after that call."""
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
            self._release()

    def _release(self) -> None:
        # Break the reference cycle of context and transaction, so that both are freed without a garbage collection.
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
        """Abort because of ``error``; the first of several errors is kept as the reason."""
        if self.state == "active":
            self.state, self._failure = "aborted", error

    def _failed(self, message: str) -> DataError:
        """The error for an aborted transaction: of the reason's class if the backend failed, or after a conflict."""
        failure = self._failure
        if isinstance(failure, BackendError | SerializationFailure):
            # A caller that caught the conflict and continued must still see a retryable error.
            return type(failure)(
                f"{message} (cause: {failure})", backend=self.adapter.name, retry_after=failure.retry_after
            )
        return TransactionError(message, backend=self.adapter.name)

    def _foreign(self, source: Source) -> TransactionError:
        name = source.adapter.name
        return TransactionError(
            f"a transaction on {self.adapter.name} cannot change {name}; use a separate transaction",
            backend=name,
        )

    def _require_active(self) -> None:
        if self.state == "expired":
            raise TimedOut("the transaction was rolled back because its deadline has passed", backend=self.adapter.name)
        if self.state == "aborted":
            raise self._failed("an operation of the transaction has failed, so it must be rolled back")
        if self.state != "active":
            raise self._failed(f"the transaction has already ended ({self.state}); begin a new one")


def carry_out(operation: Operation, context: Context) -> Result:
    """Execute a call inside a transaction in its session: the innermost function, below all stages."""
    transaction: Transaction = context.transaction
    if operation is not _COMMIT:
        return transaction._session.execute(operation, context)
    # Set first: a signal, for instance, may interrupt the commit before its outcome is known.
    transaction.state = "unknown"
    transaction._session.commit(context)
    return _COMMITTED


def elsewhere() -> TransactionError:
    """The error for a call in another thread than that of its unit of work."""
    return TransactionError(
        "A unit of work can only be used in the thread that began it. To make calls in another thread, pass it "
        "in_callers_name(function) (import it from database): its calls keep the caller, outside of the unit of work."
    )
