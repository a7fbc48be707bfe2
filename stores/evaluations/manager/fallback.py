"""Evaluations whose writes survive an outage of their place.

While the primary place is out of reach, a write is kept in a journal, and is carried out before the next call that
reaches the primary; by another process, too, and after a restart. It is acknowledged when the journal has it. Carrying
it out twice is the same as once. Meanwhile the evaluations that were written or read lately are known; of all others,
and of listings, the error of the outage is raised, not a guess.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from threading import Lock
from threading import RLock
from typing import Any
from typing import Final
from typing import TypeVar
from typing import cast

from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.context import active_unit
from database.core.context import on_its_own
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import RequestError
from database.core.errors import SerializationFailure
from database.core.result import Row
from database.resilience.repetition import repeated
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import is_outage
from stores.evaluations.manager.cache import EvaluationCache
from stores.evaluations.manager.journal import EvaluationJournal
from stores.evaluations.manager.journal import Write
from stores.evaluations.manager.replay import carry_out
from stores.evaluations.meaning.errors import changed
from stores.evaluations.meaning.values import EvaluationFilters
from stores.evaluations.places.on_stores import EvaluationsInStore
from stores.evaluations.places.records import EvaluationRecords
from stores.evaluations.places.records import Position
from stores.evaluations.places.records import Series

logger = logging.getLogger(__name__)

_LOOK: Final = 30.0
"""Seconds after which a process looks for what another one has left in the journal."""

_Answer = TypeVar("_Answer")


class EvaluationsWithFallback(EvaluationRecords):
    """A primary place with a fallback and a cache; each of these may be left out.

    :param primary: where evaluations are.
    :param fallback: the state of what is in the journal.
    :param journal: of the writes during an outage; None raises the errors of the outage.
    :param cache: of what was read and written.
    """

    def __init__(
        self,
        primary: EvaluationRecords,
        fallback: EvaluationsInStore | None = None,
        journal: EvaluationJournal | None = None,
        cache: EvaluationCache | None = None,
        clock: Clock = monotonic,
    ) -> None:
        self.primary = primary
        self.inline = primary.inline if fallback is None else min(primary.inline, fallback.inline)
        self._state = fallback
        self.journal = journal
        self._cache = cache
        self._clock = clock
        self._healing = RLock()
        # Not known before the first look.
        self._behind = journal is not None
        self._looked = clock()
        self._tried = 0
        self._counting = Lock()
        self._added = 0

    def insert(self, row: Row, event: Row) -> Row:
        def later(state: EvaluationsInStore) -> Row:
            return self._later(Write("insert", row["id"], row, event), lambda: state.insert(row, event))

        return self._kept(self._written(lambda: self.primary.insert(row, event), later))

    def get(self, id: str, *, texts: bool = True) -> Row | None:
        cached = None if self._cache is None or active_unit.get() is not None else self._cache.get(id)
        if cached is not None and not self._behind:
            return cached
        try:
            row = self._reached(lambda: self.primary.get(id))
        except DataError as error:
            known = self._known(id) if _is_out(error) else None
            if known is None:
                raise
            return known
        if row is not None and self._cache is not None:
            self._cache.keep(row)
        return row

    def change(self, row: Row, changes: Mapping[str, Any], event: Row | None) -> Row:
        def later(state: EvaluationsInStore) -> Row:
            present = state.get(row["id"])
            if present is None:
                present = state.adopt(row)
            elif present["etag"] != row["etag"]:
                raise changed(row["id"])
            added = {**changes, "metadata": _added(row, changes)} if "metadata" in changes else dict(changes)
            return self._later(Write("change", row["id"], added, event), lambda: state.change(present, changes, event))

        if self._cache is not None:
            self._cache.forget(row["id"])
        return self._kept(self._written(lambda: self.primary.change(row, changes, event), later))

    def remove(self, id: str) -> Row | None:
        def later(state: EvaluationsInStore) -> Row | None:
            known = self._known(id)
            if known is None:
                # Nobody can say now whether there is one.
                return None
            self._later(Write("remove", id, {"created_at": known["created_at"]}), lambda: state.remove(id))
            return known

        row = self._written(lambda: self.primary.remove(id), later, unknown=True)
        if row is not None and self._cache is not None:
            self._cache.gone(row)
        return row

    def append(self, series: Series, row: Row) -> None:
        def later(state: EvaluationsInStore) -> bool:
            id_ = row["evaluation_id"]

            def append() -> None:
                # The journal has it in any case.
                with suppress(StorageNotFoundError):
                    state.append(series, row)

            self._later(Write("append", id_, row, None, series), append)
            return True

        def now() -> bool:
            self.primary.append(series, row)
            return True

        self._written(now, later)

    def appended(self, series: Series, id: str, after: str | None, limit: int, name: str | None = None) -> list[Row]:
        try:
            return self._reached(lambda: self.primary.appended(series, id, after, limit, name))
        except DataError as error:
            state = self._state
            if state is None or not _is_out(error) or not state.is_complete(id):
                raise
            return state.appended(series, id, after, limit, name)

    def find(self, filters: EvaluationFilters, after: Position | None, limit: int) -> Sequence[Row]:
        return self._reached(lambda: self.primary.find(filters, after, limit))

    def count(self, filters: EvaluationFilters) -> int:
        return self._reached(lambda: self.primary.count(filters))

    def tally(self, filters: EvaluationFilters) -> Iterable[tuple[str, int | None, int]]:
        return self._reached(lambda: list(self.primary.tally(filters)))

    def heal(self) -> int:
        """Carry out what is in the journal; returns how many writes that were.

        :raises DataError: if the primary place is still out of reach.
        """
        journal, state = self.journal, self._state
        if journal is None or state is None:
            return 0
        # On its own: what is gone from the journal must not be rolled back.
        with self._healing, on_its_own():
            healed: list[str] = []
            while True:
                added = self._added
                writes = journal.some()
                for write in writes:
                    self._carry_out(journal, write)
                    healed.append(write.id)
                if not writes and self._is_up_to_date(added):
                    break
            for id_ in dict.fromkeys(healed):
                state.remove(id_)
                if self._cache is not None:
                    self._cache.forget(id_)
            return len(healed)

    def _is_up_to_date(self, added: int) -> bool:
        """Whether nobody has written to the journal since it was found empty."""
        with self._counting:
            if self._added == added:
                self._behind, self._looked = False, self._clock()
            return not self._behind

    def _carry_out(self, journal: EvaluationJournal, write: Write) -> None:
        try:
            repeated(lambda: carry_out(self.primary, write))
        except SerializationFailure:
            raise
        except RequestError as error:
            logger.warning("a write to the evaluation %.64r was put aside: %s", write.id, error)
            journal.refuse(write, str(error))
        else:
            journal.remove(write.key)

    def _reached(self, call: Callable[[], _Answer]) -> _Answer:
        """The answer of the primary place, which has got before what is in the journal."""
        # Inside of a transaction, what is carried out could be rolled back with it.
        if active_unit.get() is None and self.journal is not None:
            if not self._behind and self._clock() - self._looked > _LOOK:
                self._behind = True
            if self._behind:
                self._catch_up()
        return call()

    def _catch_up(self) -> None:
        tried = self._tried
        with self._healing:
            if not self._behind:
                return
            if self._tried != tried:
                # Another thread has tried while this one waited, in vain.
                raise StorageConnectionError("the primary place of evaluations is out of reach")
            try:
                self.heal()
            finally:
                self._tried += 1

    def _written(
        self, now: Callable[[], _Answer], later: Callable[[EvaluationsInStore], _Answer], *, unknown: bool = False
    ) -> _Answer:
        """The answer of the primary place, or that of the fallback if it is out of reach.

        :param unknown: whether None of the fallback means that it does not know.
        """
        try:
            return self._reached(now)
        except DataError as error:
            # What is written in a transaction would not be rolled back here.
            if self._state is None or active_unit.get() is not None or not _is_out(error):
                raise
            answer = later(self._state)
            if answer is None and unknown:
                raise
            return answer

    def _later(self, write: Write, on_state: Callable[[], _Answer]) -> _Answer:
        assert self.journal is not None
        key = self.journal.add(write)
        with self._counting:
            self._added += 1
            self._behind = True
        try:
            return on_state()
        except StorageConflictError:
            # Not while somebody carries it out.
            with self._healing:
                if self.journal.remove(key):
                    raise
            answer: Any = self.primary.get(write.id)
            return cast("_Answer", answer)

    def _known(self, id: str) -> Row | None:
        """What is known of an evaluation while its place is out of reach."""
        row = None if self._state is None else self._state.get(id)
        return self._cache.get(id) if row is None and self._cache is not None else row

    def _kept(self, row: Row) -> Row:
        if self._cache is not None and not self._behind:
            self._cache.keep(row)
        return row


def _is_out(error: DataError) -> bool:
    # What may have been applied is carried out again, which is the same as once.
    return is_outage(error) or isinstance(error, OutcomeUnknown)


def _added(row: Row, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The members of metadata that a change adds or replaces."""
    before = row["metadata"]
    return {name: value for name, value in changes["metadata"].items() if name not in before or before[name] != value}
