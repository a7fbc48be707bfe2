"""What the followers of one evaluation read at the same time, which is read once for all of them."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock
from typing import Any
from typing import Final

from database import DataError
from database.core.clock import Clock
from database.core.clock import monotonic
from stores import Evaluation
from stores import EvaluationEvent
from stores import Evaluations

PAGE: Final = 1_000
"""Events that are read at once."""

KEPT: Final = 0.2
"""Seconds for which what was read is news for other followers."""


class SharedReads:
    """Reads an evaluation and its events.

    :param clock: a monotonic clock.
    """

    def __init__(self, evaluations: Evaluations, id: str, clock: Clock = monotonic) -> None:
        self._evaluations = evaluations
        self._id = id
        self._clock = clock
        self._lock = Lock()
        self._kept: dict[object, Any] = {}
        self._until = 0.0
        self._is_old = True

    def head(self) -> Evaluation | None:
        """The evaluation without its code and outputs, or None."""
        found: Evaluation | None = self._once("head", lambda: self._evaluations.head(self._id))
        return found

    def events(self, after: str | None) -> list[EvaluationEvent]:
        """A page of events, as :meth:`Evaluations.events`; it is shared."""
        page: list[EvaluationEvent] = self._once(
            (after,), lambda: self._evaluations.events(self._id, after=after, limit=PAGE)
        )
        return page

    def forget(self) -> None:
        """Read anew from now on. It waits for nobody."""
        self._is_old = True

    def _once(self, key: object, read: Callable[[], Any]) -> Any:
        # Who needs the same waits, and does not ask a database that is slow or away once more.
        with self._lock:
            if self._is_old or self._clock() >= self._until:
                # Before it is read: what changes from here on is news again.
                self._is_old = False
                self._kept.clear()
                self._until = self._clock() + KEPT
            if key not in self._kept:
                try:
                    self._kept[key] = read()
                except DataError as error:
                    self._kept[key] = error
            found = self._kept[key]
        if isinstance(found, DataError):
            raise found
        return found
