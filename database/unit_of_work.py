"""The unit of work: the transaction that the calls of one request join, and the hooks for its end.

It may include other resources, such as stored files: they are prepared before the transaction commits, and committed or
rolled back after it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Literal
from typing import NamedTuple
from typing import Protocol
from typing import Self
from typing import TypeVar

from database.adapter.interface import Database
from database.adapter.transactions import Transaction
from database.adapter.transactions import elsewhere
from database.core.context import active_unit
from database.core.context import as_application
from database.core.context import on_its_own
from database.core.errors import Conflict
from database.core.errors import SerializationFailure
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result
from database.resilience.repetition import repeated

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")
Hook = Callable[[], None]
Beginning = Literal["lazy", "reading", "writing"]


class Resource(Protocol):
    """A participant of a unit of work in addition to its transaction.

    If it is not known whether the transaction was committed, neither :meth:`commit` nor :meth:`rollback` is called.
    """

    def prepare(self) -> None:
        """Prepare, so that :meth:`commit` cannot fail; an exception rolls back the whole unit."""

    def commit(self) -> None:
        """Make the changes permanent; called after the transaction's commit. An exception is only logged."""

    def rollback(self) -> None:
        """Undo the changes. An exception is only logged."""


class Hooks(NamedTuple):
    """The functions to call once at the end of a unit of work."""

    before_commit: list[Hook]
    after_commit: list[Hook]
    after_rollback: list[Hook]

    def copy(self) -> Hooks:
        """A copy with separate lists."""
        return Hooks(*map(list, self))


class UnitOfWork:
    """Begins a transaction on first use and ends it in :meth:`end` or :meth:`close`.

    Unless it is lazy, the first call begins the transaction, so that all reads are of one snapshot, which is still
    current when the unit writes. The transaction stays on the adapter on which it began. The unit can be used only in
    the thread that created it; calls in another thread, to which its context was copied, are refused.

    :param beginning: returns at the first call when to begin: with ``lazy``, reads before the first write run outside
        of the transaction. With ``reading``, a read begins a transaction that may be on another database and is
        expected not to write. With ``writing``, the transaction blocks other writers on a backend with a single writer.
    """

    __slots__ = (
        *("_beginning", "_closed", "_commit_anyway", "_committed", "_doomed", "_known_hooks", "_resources", "_source"),
        *("_thread", "_transaction", "_wrote"),
    )

    def __init__(self, *, beginning: Callable[[], Beginning]) -> None:
        self._beginning = beginning
        self._wrote = False
        self._thread: int | None = get_ident()
        self._source: Database | None = None
        self._transaction: Transaction | None = None
        self._doomed = False
        self._commit_anyway = False
        self._closed = False
        self._committed = False
        self._resources: list[Resource] = []
        self._known_hooks: Hooks | None = None

    @classmethod
    def over(cls) -> Self:
        """A closed unit, for use in any thread."""
        unit = cls(beginning=lambda: "lazy")
        unit._thread = None
        unit.close()
        return unit

    @property
    def begun(self) -> bool:
        """Whether a transaction is open."""
        return self._transaction is not None

    @property
    def committed(self) -> bool:
        """Whether a transaction of this unit has been committed, so that a later failure cannot undo everything."""
        return self._committed

    @property
    def writes(self) -> bool:
        """Whether a read now belongs to a transaction that writes, or is expected to."""
        if self._closed:
            return False
        beginning = self._beginning()
        return self._wrote or beginning == "writing" or (beginning == "lazy" and self.begun)

    def run(self, source: Database, operation: Operation) -> Result:
        """Execute an operation for ``source`` in the unit's transaction."""
        self._require_own_thread()
        transaction = self._transaction
        if transaction is None:
            if reads_only(operation):
                beginning = "lazy" if self._closed else self._beginning()
                if beginning == "lazy":
                    return source.run_alone(operation)
                if beginning == "reading" and not self._wrote:
                    return self._begin_to_read(source, operation)
            transaction = self._begin(source)
            self._wrote = self._wrote or not reads_only(operation)
        elif not self._wrote:
            self._wrote = not reads_only(operation)
        # The manager may have switched its active adapter; the transaction stays on its own.
        return transaction.run(transaction.adapter if source is self._source else source, operation)

    @contextmanager
    def nested(self, source: Database) -> Iterator[Transaction]:
        """A savepoint in the unit's transaction, which is begun if needed; in a closed unit, a separate transaction."""
        self._require_own_thread()
        if self._closed:
            with on_its_own(), source.transaction() as transaction:
                yield transaction
            return
        transaction = self._transaction or self._begin(source)
        with transaction.nested(transaction.adapter if source is self._source else source):
            yield transaction

    def doom(self) -> None:
        """Roll back at the end of the unit, regardless of the response."""
        self._doomed = True

    def commit_anyway(self) -> None:
        """Commit at the end of the unit, even if the response is an error."""
        self._commit_anyway = True

    def before_commit(self, hook: Hook) -> None:
        """Call ``hook`` inside the transaction just before the commit; an exception rolls back the unit."""
        self._hooks.before_commit.append(hook)

    def after_commit(self, hook: Hook) -> None:
        """Call ``hook`` after the commit has succeeded; an exception is only logged.

        It may read, and open a separate transaction.
        """
        self._hooks.after_commit.append(hook)

    def after_rollback(self, hook: Hook) -> None:
        """Call ``hook`` after the unit has been rolled back; an exception is only logged.

        It is not called if the outcome of the commit is unknown, nor if the unit is retried after a conflict.
        """
        self._hooks.after_rollback.append(hook)

    def join(self, resource: Resource) -> None:
        """Commit and roll back ``resource`` with the transaction; in the reverse order of joining."""
        self._require_own_thread()
        if self._closed:
            raise _over()
        self._resources.append(resource)

    def hooks(self) -> Hooks | None:
        """A copy of the current hooks, for :meth:`begin_anew`."""
        return None if self._known_hooks is None else self._known_hooks.copy()

    def begin_anew(self, hooks: Hooks | None) -> None:
        """Roll back after a conflict with another transaction, and restore ``hooks``.

        A unit that has tried to write begins its next transaction as a writing one.
        """
        wrote = self._wrote
        self._reset()
        self._wrote = wrote
        self._known_hooks = None if hooks is None else hooks.copy()

    def end(self, *, success: bool) -> None:
        """Commit or roll back; the next call begins a new transaction.

        :raises DataError: if the commit or a hook before it failed.
        """
        if self._is_empty:
            self._doomed = self._commit_anyway = self._wrote = False
            return
        commits = self._commit_anyway or (success and not self._doomed)
        self._call_on_the_side(self._commit() if commits else self._roll_back())

    def close(self) -> None:
        """Roll back an open transaction and begin no other: later reads run on their own, later writes are refused."""
        empty, self._closed = self._is_empty, True
        if not empty:
            self._call_on_the_side(self._roll_back())

    @property
    def _is_empty(self) -> bool:
        """Whether there is nothing to end: no transaction, hook or resource."""
        return self._transaction is None and self._known_hooks is None and not self._resources

    @property
    def _hooks(self) -> Hooks:
        hooks = self._known_hooks
        if hooks is None:
            hooks = self._known_hooks = Hooks([], [], [])
        return hooks

    def _require_own_thread(self) -> None:
        if self._thread != get_ident() and self._thread is not None:
            raise elsewhere()

    def _begin(self, source: Database) -> Transaction:
        if self._closed:
            raise _over()
        self._transaction = source.begin_transaction()
        self._source = source
        return self._transaction

    def _begin_to_read(self, source: Database, operation: Operation) -> Result:
        self._transaction, result = source.begin_to_read(operation)
        self._source = source
        return result

    def _commit(self) -> list[Hook]:
        """Commit, or roll back if that fails; returns the hooks to call afterwards."""
        try:
            for hook in self._known_hooks.before_commit if self._known_hooks else ():
                hook()
            for resource in reversed(self._resources):
                resource.prepare()
            if self._transaction is not None:
                self._transaction.commit()
                self._committed = True
        except BaseException:
            if self._transaction is not None and self._transaction.state == "unknown":
                # The rows may have been committed, so the resources are neither committed nor rolled back.
                self._resources, self._known_hooks = [], None
            self._call_on_the_side(self._roll_back())
            raise
        after = [resource.commit for resource in reversed(self._resources)]
        if self._known_hooks is not None:
            after += self._known_hooks.after_commit
        self._resources = []
        self._reset()
        return after

    def _roll_back(self) -> list[Hook]:
        """Roll back; returns the hooks to call afterwards."""
        after = [] if self._known_hooks is None else self._known_hooks.after_rollback
        self._reset()
        return after

    def _call_on_the_side(self, hooks: list[Hook]) -> None:
        # Closed while the hooks run, because nothing would commit their writes to this unit.
        if not hooks:
            return
        closed, self._closed = self._closed, True
        for hook in hooks:
            _call_safely(hook)
        self._closed = closed

    def _reset(self) -> None:
        transaction, self._transaction = self._transaction, None
        resources, self._resources = self._resources, []
        self._doomed = self._commit_anyway = self._wrote = False
        self._known_hooks = None
        try:
            if transaction is not None:
                transaction.rollback()
        finally:
            for resource in reversed(resources):
                _call_safely(resource.rollback)


def current_unit() -> UnitOfWork:
    """The unit of work of this request. :raises TransactionError: outside of a request."""
    unit = active_unit.get()
    if not isinstance(unit, UnitOfWork):
        raise TransactionError("there is no unit of work; call this inside a request")
    unit._require_own_thread()
    return unit


def commit_anyway() -> None:
    """Commit this request's changes even if its response is an error, such as a 401 that ends a session."""
    current_unit().commit_anyway()


def before_commit(hook: Hook) -> None:
    """Call ``hook`` inside this request's transaction just before the commit."""
    current_unit().before_commit(hook)


def after_commit(hook: Hook) -> None:
    """Call ``hook`` after this request's transaction has been committed."""
    current_unit().after_commit(hook)


def after_rollback(hook: Hook) -> None:
    """Call ``hook`` after this request's unit of work has been rolled back."""
    current_unit().after_rollback(hook)


def join(resource: Resource) -> None:
    """Commit and roll back ``resource`` with this request's transaction."""
    current_unit().join(resource)


@contextmanager
def apart() -> Iterator[None]:
    """Run the block's calls as the application itself, outside of the current unit of work."""
    with on_its_own(), as_application():
        yield


def own_transaction(database: Database, work: Callable[[], Answer]) -> Answer:
    """Call ``work`` in a separate transaction as the application, and retry it after conflicts with others.

    It is committed when this returns, independently of the request's unit of work: a 401 response does not undo it.
    Do not use it while that unit has an open transaction: both may wait for the same lock.

    :param work: may be called several times; an exception rolls its changes back.
    :raises TimedOut: if all attempts failed in conflicts. These say nothing about the request, which may be repeated.
    """
    with apart():
        try:
            return repeated(lambda: _attempt(database, work))
        except SerializationFailure as error:
            raise TimedOut(
                "concurrent transactions conflicted with this one each time; retry", backend=error.backend
            ) from error


def _attempt(database: Database, work: Callable[[], Answer]) -> Answer:
    try:
        with database.transaction():
            return work()
    except Conflict as error:
        # It has read the expected versions in this transaction, so this is a conflict with another one: retry.
        raise SerializationFailure(error.message, backend=error.backend, operation=error.operation) from error


def _over() -> TransactionError:
    return TransactionError("the request's unit of work has already ended; open a separate transaction() for this call")


def _call_safely(hook: Hook) -> None:
    try:
        hook()
    except Exception:
        logger.exception("a hook or resource failed after the end of a unit of work")
