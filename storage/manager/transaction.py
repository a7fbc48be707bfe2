"""Writes to several providers, of which all happen, or those that have happened are undone."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from database.core.errors import DataError
from database.core.errors import Outcome
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageRollbackError
from storage.core.errors import shown
from storage.manager.provider import BaseStorageProvider
from storage.manager.provider import UndoableWrite
from storage.manager.references import DataReference

logger = logging.getLogger(__name__)

_ATTEMPTS = 5
_Answer = TypeVar("_Answer")


class ManagerTransaction:
    """The writes that a transaction has made so far.

    :ivar references: what was stored, in this order.
    """

    def __init__(self, outer: ManagerTransaction | None = None) -> None:
        self.references: list[DataReference] = []
        self._outer = outer
        self._writes: dict[DataReference, UndoableWrite] = {}

    def write(
        self, place: DataReference, provider: BaseStorageProvider, work: Callable[[UndoableWrite], _Answer]
    ) -> _Answer:
        """Do one write, which can be undone from then on."""
        if (known := self._writes.get(place)) is not None:
            return work(known)
        for attempt in range(1, _ATTEMPTS + 1):
            self._writes[place] = begun = provider.undoable(place.key)
            try:
                return work(begun)
            except DataError as error:
                if error.outcome is Outcome.NOT_APPLIED:
                    del self._writes[place]
                # Somebody else has written between what was read and this write.
                if not isinstance(error, StorageConflictError) or attempt == _ATTEMPTS:
                    raise
        raise AssertionError

    def undo(self) -> dict[DataReference, Exception]:
        """Undo all writes, the last one first; returns those that could not be, with the reason."""
        left: dict[DataReference, Exception] = {}
        for place, write in reversed(self._writes.items()):
            try:
                write.undo()
                self._tell_outer(place, write)
            except Exception as error:
                logger.exception("a write to %r in %r could not be undone", place.key, place.storage_type)
                left[place] = error
        return left

    def end(self) -> None:
        """Hand the writes over to the transaction around this one."""
        if self._outer is not None:
            self._outer.references += self.references
            for place, write in self._writes.items():
                if not self._tell_outer(place, write):
                    self._outer._writes[place] = write

    def _tell_outer(self, place: DataReference, write: UndoableWrite) -> bool:
        """What is there now is that of the transaction around this one, if it has written there, too."""
        known = None if self._outer is None else self._outer._writes.get(place)
        if known is not None:
            known.follow(write)
        return known is not None


current_transaction: ContextVar[ManagerTransaction | None] = ContextVar("current_transaction", default=None)


@contextmanager
def transaction() -> Iterator[ManagerTransaction]:
    """A transaction in this context, that is inside of the one around it, if there is one."""
    made = ManagerTransaction(current_transaction.get())
    token = current_transaction.set(made)
    try:
        yield made
    except BaseException as error:
        current_transaction.reset(token)
        if left := made.undo():
            raise _not_undone(left) from error
        raise
    current_transaction.reset(token)
    made.end()


def _not_undone(left: dict[DataReference, Exception]) -> StorageRollbackError:
    places = ", ".join(f"{shown(one.key)} in {one.storage_type!r} ({error})" for one, error in left.items())
    return StorageRollbackError(f"the transaction failed, and could not be undone for {places}", left)
