"""Evaluations that were read or written lately. What this process has written is never read stale."""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from typing import Any
from typing import Final

from database.core.context import active_unit
from database.core.context import as_application
from database.core.errors import DataError
from database.core.result import Row
from database.unit_of_work import UnitOfWork
from storage.core.store import Store

_PREFIX: Final = "cache/"
_TTL: Final = 300.0


class EvaluationCache:
    """Rows of evaluations in a store. A store that fails has none of them.

    :param store: where they are.
    :param ttl: seconds after which the writes of other processes are seen.
    """

    def __init__(self, store: Store, ttl: float = _TTL) -> None:
        self._store = store
        self._ttl = ttl
        self._lock = Lock()

    def get(self, id: str) -> Row | None:
        """The evaluation; None if it is not known, or known not to be there."""
        known = self._known(id)
        return None if known is None else known.get("row")

    def keep(self, row: Row) -> None:
        """Remember an evaluation that was read, unless a later version is known."""
        unit = active_unit.get()
        if unit is not None:
            # It may be rolled back, and somebody may read the former one before it is committed.
            self.forget(row["id"])
            if isinstance(unit, UnitOfWork):
                unit.after_commit(lambda: self.forget(row["id"]))
            return
        with self._lock:
            known = self._known(row["id"])
            if known is None or _age(known["row"] or known["last"]) <= _age(row):
                self._put(row["id"], {"row": row, "last": None})

    def gone(self, row: Row) -> None:
        """Remember that an evaluation was deleted, so that nobody keeps what he has read before."""
        with self._lock:
            self._put(row["id"], {"row": None, "last": {**row, "version": row["version"] + 1}})

    def forget(self, id: str) -> None:
        """Know nothing of an evaluation."""
        with suppress(DataError), as_application():
            self._store.delete(_PREFIX + id)

    def _known(self, id: str) -> dict[str, Any] | None:
        with suppress(DataError), as_application():
            known: dict[str, Any] | None = self._store.get(_PREFIX + id)
            return known
        return None

    def _put(self, id: str, known: dict[str, Any]) -> None:
        try:
            with as_application():
                self._store.put(_PREFIX + id, known, ttl=self._ttl)
        except DataError:
            self.forget(id)


def _age(row: Row) -> tuple[Any, int]:
    """Of two rows of one evaluation, the later one has the greater. A new evaluation with the same id is later."""
    return row["created_at"], row["version"]
