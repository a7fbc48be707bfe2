"""The unit of work: what the calls of one request join, and what is done once when it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Literal
from typing import Self

from database.adapters.face import Database
from database.adapters.session import Transaction
from database.adapters.session import elsewhere
from database.core.context import active_unit
from database.core.errors import TransactionError
from database.core.operations import Operation
from database.core.operations import reads_only
from database.core.result import Result

logger = logging.getLogger(__name__)

Hook = Callable[[], None]
Hooks = tuple[list[Hook], list[Hook]]
Beginning = Literal["lazy", "reading", "writing"]


class UnitOfWork:
    """Begins a transaction when it is first needed; ends it when told, or not at all.

    Lazy, it lets reads pass by until the first write. Otherwise the first call of any kind begins, so that all reads
    are of one moment, and what is read cannot change before what is written. It belongs to one adapter from then on,
    and to the thread that has made it all along: another one that it was copied into is refused.

    :param beginning: tells, when the first call comes, whether reads before the first write are answered outside
        (``lazy``), and otherwise whether what a read begins may be on another database and is expected to write nothing
        (``reading``), or keeps others from writing where one writes at a time (``writing``).
    """

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
        self._before: list[Hook] = []
        self._after: list[Hook] = []

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
            with _on_its_own(source) as transaction:
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
        self._before.append(hook)

    def after_commit(self, hook: Hook) -> None:
        """Call ``hook`` once the commit has succeeded; what it raises is logged and changes nothing.

        It may read, and open a transaction of its own.
        """
        self._after.append(hook)

    def hooks(self) -> Hooks:
        """Those that there are now, for :meth:`begin_anew`."""
        return self._before.copy(), self._after.copy()

    def begin_anew(self, hooks: Hooks) -> None:
        """Undo everything after another transaction came first, and go back to ``hooks``.

        What has tried to write once begins as one that writes.
        """
        wrote = self._wrote
        self._reset()
        self._wrote = wrote
        self._before, self._after = hooks[0].copy(), hooks[1].copy()

    def end(self, *, success: bool) -> None:
        """Commit or roll back; the next call begins anew.

        :raises DataError: when the commit failed, or a hook before it.
        """
        commits = self._commit_anyway or (success and not self._doomed)
        after = self._after
        try:
            if commits:
                self._commit()
        finally:
            self._reset()
        if commits:
            self._call_after_commit(after)

    def close(self) -> None:
        """Roll back what is open and begin nothing more: later reads pass by, later writes are refused."""
        self._reset()
        self._closed = True

    def _require_own_thread(self) -> None:
        if self._thread != get_ident() and self._thread is not None:
            raise elsewhere()

    def _begin(self, source: Database) -> Transaction:
        if self._closed:
            raise TransactionError("the request's unit of work is over; open a transaction() of its own")
        self._transaction = source.begin_transaction()
        self._source = source
        return self._transaction

    def _begin_to_read(self, source: Database, operation: Operation) -> Result:
        self._transaction, result = source.begin_to_read(operation)
        self._source = source
        return result

    def _commit(self) -> None:
        for hook in self._before:
            hook()
        if self._transaction is not None:
            self._transaction.commit()
            self._committed = True

    def _call_after_commit(self, hooks: list[Hook]) -> None:
        # Closed meanwhile: nobody would commit what a hook might write in passing.
        closed, self._closed = self._closed, True
        for hook in hooks:
            _call_safely(hook)
        self._closed = closed

    def _reset(self) -> None:
        transaction, self._transaction = self._transaction, None
        self._doomed = self._commit_anyway = self._wrote = False
        self._before, self._after = [], []
        if transaction is not None:
            transaction.rollback()


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


@contextmanager
def _on_its_own(source: Database) -> Iterator[Transaction]:
    token = active_unit.set(None)
    try:
        with source.transaction() as transaction:
            yield transaction
    finally:
        active_unit.reset(token)


def _call_safely(hook: Hook) -> None:
    try:
        hook()
    except Exception:
        logger.exception("an after-commit hook failed")
