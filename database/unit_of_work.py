"""The unit of work: what the calls of one request join, and what is done once when it ends.

Beside its transaction it may hold other resources, such as files that were stored meanwhile: they are made ready before
the transaction commits, and follow it.
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
    """What takes part in a unit of work beside its transaction.

    If it is not known whether the transaction was committed, neither :meth:`commit` nor :meth:`rollback` is called.
    """

    def prepare(self) -> None:
        """Make ready, so that :meth:`commit` cannot fail; what this raises undoes the whole unit."""

    def commit(self) -> None:
        """Keep what was done, after the transaction's commit. What this raises is logged and changes nothing."""

    def rollback(self) -> None:
        """Undo what was done. What this raises is logged."""


class Hooks(NamedTuple):
    """What is called once when a unit of work ends."""

    before_commit: list[Hook]
    after_commit: list[Hook]
    after_rollback: list[Hook]

    def copy(self) -> Hooks:
        """The same hooks in lists of their own."""
        return Hooks(*map(list, self))


class UnitOfWork:
    """Begins a transaction when it is first needed; ends it when told, or not at all.

    Lazy, it lets reads pass by until the first write. Otherwise the first call of any kind begins, so that all reads
    are of one moment, and what is read cannot change before what is written. It belongs to one adapter from then on,
    and to the thread that has made it all along: another one that it was copied into is refused.

    :param beginning: tells, when the first call comes, whether reads before the first write are answered outside
        (``lazy``), and otherwise whether what a read begins may be on another database and is expected to write nothing
        (``reading``), or keeps others from writing where one writes at a time (``writing``).
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
        """A unit that is closed already, for any thread."""
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
        """Whether a transaction of this unit has been committed, so that no later failure undoes all of it."""
        return self._committed

    def run(self, source: Database, operation: Operation) -> Result:
        """Carry out an operation meant for ``source`` in the unit's transaction."""
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
        elif not self._wrote:
            self._wrote = not reads_only(operation)
        # The manager may have changed its mind about the active adapter; the transaction has not.
        return transaction.run(transaction.adapter if source is self._source else source, operation)

    @contextmanager
    def nested(self, source: Database) -> Iterator[Transaction]:
        """A savepoint in the unit's transaction, which begins with it if need be; once it is over, one of its own."""
        self._require_own_thread()
        if self._closed:
            with on_its_own(), source.transaction() as transaction:
                yield transaction
            return
        transaction = self._transaction or self._begin(source)
        with transaction.nested(transaction.adapter if source is self._source else source):
            yield transaction

    def doom(self) -> None:
        """Let the unit end in a rollback, whatever the answer is."""
        self._doomed = True

    def commit_anyway(self) -> None:
        """Let the unit end in a commit, even if the answer is an error."""
        self._commit_anyway = True

    def before_commit(self, hook: Hook) -> None:
        """Call ``hook`` inside the transaction just before it commits; if it raises, nothing is committed."""
        self._hooks.before_commit.append(hook)

    def after_commit(self, hook: Hook) -> None:
        """Call ``hook`` once the commit has succeeded; what it raises is logged and changes nothing.

        It may read, and open a transaction of its own.
        """
        self._hooks.after_commit.append(hook)

    def after_rollback(self, hook: Hook) -> None:
        """Call ``hook`` once the unit has been rolled back; what it raises is logged and changes nothing.

        It is not called if the outcome of a commit is unknown, nor when the unit begins anew after a lost race.
        """
        self._hooks.after_rollback.append(hook)

    def join(self, resource: Resource) -> None:
        """Have ``resource`` committed and rolled back with the transaction, the last one that joined first."""
        self._require_own_thread()
        if self._closed:
            raise _over()
        self._resources.append(resource)

    def hooks(self) -> Hooks | None:
        """Those that there are now, for :meth:`begin_anew`."""
        return None if self._known_hooks is None else self._known_hooks.copy()

    def begin_anew(self, hooks: Hooks | None) -> None:
        """Undo everything after another transaction came first, and go back to ``hooks``.

        What has tried to write once begins as one that writes.
        """
        wrote = self._wrote
        self._reset()
        self._wrote = wrote
        self._known_hooks = None if hooks is None else hooks.copy()

    def end(self, *, success: bool) -> None:
        """Commit or roll back; the next call begins anew.

        :raises DataError: when the commit failed, or a hook before it.
        """
        if self._is_empty:
            self._doomed = self._commit_anyway = self._wrote = False
            return
        commits = self._commit_anyway or (success and not self._doomed)
        self._call_on_the_side(self._commit() if commits else self._roll_back())

    def close(self) -> None:
        """Roll back what is open and begin nothing more: later reads pass by, later writes are refused."""
        empty, self._closed = self._is_empty, True
        if not empty:
            self._call_on_the_side(self._roll_back())

    @property
    def _is_empty(self) -> bool:
        """Whether nothing was begun that has to be ended, as in most requests that read."""
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
        """Commit, or roll back if that fails; what is to be called afterwards."""
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
                # What belongs to rows that may be there is neither kept for good nor undone.
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
        """Roll back; what is to be called afterwards."""
        after = [] if self._known_hooks is None else self._known_hooks.after_rollback
        self._reset()
        return after

    def _call_on_the_side(self, hooks: list[Hook]) -> None:
        # Closed meanwhile: nobody would commit what a hook might write in passing.
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
    """The unit of work of this request. :raises TransactionError: outside a request."""
    unit = active_unit.get()
    if not isinstance(unit, UnitOfWork):
        raise TransactionError("there is no unit of work here")
    unit._require_own_thread()
    return unit


def commit_anyway() -> None:
    """Commit this request's changes even if its answer is an error, such as a 401 that ends a session."""
    current_unit().commit_anyway()


def before_commit(hook: Hook) -> None:
    """Call ``hook`` inside this request's transaction just before it commits."""
    current_unit().before_commit(hook)


def after_commit(hook: Hook) -> None:
    """Call ``hook`` when this request's transaction has been committed."""
    current_unit().after_commit(hook)


def after_rollback(hook: Hook) -> None:
    """Call ``hook`` when this request's unit of work has been rolled back."""
    current_unit().after_rollback(hook)


def join(resource: Resource) -> None:
    """Have ``resource`` committed and rolled back with this request's transaction."""
    current_unit().join(resource)


@contextmanager
def apart() -> Iterator[None]:
    """Run the block's calls as the application itself, outside of the unit of work around it."""
    with on_its_own(), as_application():
        yield


def own_transaction(database: Database, work: Callable[[], Answer]) -> Answer:
    """Carry out ``work`` in a transaction of its own, as the application, and again if another one came first.

    It is committed when this returns, and the request's unit of work has no part in it: an answer of 401 does not
    undo it. Not for use while that unit holds a transaction open, which may wait for the same lock.

    :param work: may run several times; what it raises undoes it.
    :raises SerializationFailure: if others came first again and again.
    """
    with apart():
        return repeated(lambda: _once(database, work))


def _once(database: Database, work: Callable[[], Answer]) -> Answer:
    try:
        with database.transaction():
            return work()
    except Conflict as error:
        # The versions that it expected were read in the same transaction: so even that is a race which it lost.
        raise SerializationFailure(error.message, backend=error.backend, operation=error.operation) from error


def _over() -> TransactionError:
    return TransactionError("the request's unit of work is over; open a transaction() of its own")


def _call_safely(hook: Hook) -> None:
    try:
        hook()
    except Exception:
        logger.exception("what was to be called after the end of a unit of work failed")
