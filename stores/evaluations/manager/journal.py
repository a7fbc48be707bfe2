"""The journal of what was written while the primary place was out of reach."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any
from typing import Final
from typing import NamedTuple

from database.core.context import as_application
from database.core.context import on_its_own
from database.core.result import Row
from database.core.tables.schema import new_id
from storage.core.store import Store
from stores.evaluations.places.records import Series

_PENDING: Final = "pending/"
_REFUSED: Final = "refused/"
_SOME: Final = 20


class Write(NamedTuple):
    """A write that the primary place has not got yet.

    :ivar action: ``insert``, ``change``, ``append`` or ``remove``.
    :ivar id: of the evaluation.
    :ivar row: the new evaluation, the changed columns, or the event or metric; empty for a removal.
    :ivar event: that belongs to it.
    :ivar series: that is appended to.
    :ivar key: in the journal.
    """

    action: str
    id: str
    row: Row
    event: Row | None = None
    series: Series | None = None
    key: str = ""


class EvaluationJournal:
    """Entries of a store, in the order in which they were written, also by several processes.

    :param store: should be durable, and shared by all processes that use the primary place.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @as_application()
    def add(self, write: Write) -> str:
        """Keep a write; returns its key."""
        key = f"{_PENDING}{new_id()}"
        with on_its_own():
            self._store.put(key, dict(zip(Write._fields[:-1], write[:-1], strict=True)))
        return key

    @as_application()
    def some(self) -> list[Write]:
        """The first writes that are still there; none if there are no others."""
        return list(islice(self._written(_PENDING), _SOME))

    @as_application()
    def remove(self, key: str) -> bool:
        """Forget a write, because the primary place has it, or because it was refused; returns whether it was there."""
        with on_its_own():
            return self._store.delete(key)

    @as_application()
    def refuse(self, write: Write, reason: str) -> None:
        """Put a write aside that the primary place does not take."""
        given = dict(zip(Write._fields[:-1], write[:-1], strict=True))
        with on_its_own():
            self._store.put(f"{_REFUSED}{write.key.removeprefix(_PENDING)}", {**given, "reason": reason})
            self._store.delete(write.key)

    @as_application()
    def pending(self) -> int:
        """How many writes there are."""
        return self._store.count(_PENDING)

    @as_application()
    def refused(self) -> list[dict[str, Any]]:
        """What was put aside, each with the reason."""
        return [entry.value for entry in self._store.found({}, prefix=_REFUSED)]

    def _written(self, prefix: str) -> Iterator[Write]:
        for entry in self._store.found({}, prefix=prefix, at_once=_SOME):
            yield Write(**entry.value, key=entry.key)
