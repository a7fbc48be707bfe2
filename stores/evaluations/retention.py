"""Old evaluations: moved to an archive, or deleted. Only those that have ended are touched."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import Final

from database.core.clock import utc_now
from database.core.context import as_application
from database.core.immutable import immutable
from database.core.result import Row
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import shown
from storage.core.store import Store
from stores.evaluations.core import Evaluations
from stores.evaluations.meaning.checks import checked_id
from stores.evaluations.meaning.errors import exists
from stores.evaluations.meaning.rows import new_event
from stores.evaluations.meaning.statuses import ENDED
from stores.evaluations.meaning.values import Evaluation
from stores.evaluations.outputs import Outputs
from stores.evaluations.places.records import HEADS
from stores.evaluations.places.records import TEXTS
from stores.evaluations.places.records import Series

_PREFIX: Final = "archive/"
_COLUMNS: Final = frozenset({*HEADS, *TEXTS.values()} - {"version"})
_PAGE: Final = 1_000


@immutable
class EvaluationsRetained:
    """What an application of the rules has done, or would do.

    :ivar seen: how many evaluations have ended.
    :ivar ids: of those that were moved or deleted.
    :ivar archived: how many were moved.
    :ivar deleted: how many were deleted.
    """

    seen: int
    ids: list[str]
    archived: int
    deleted: int


class EvaluationRetention:
    """Rules for evaluations that have ended; each of them may be left out.

    :param evaluations: to which they apply.
    :param max_age: how long ago they may have ended.
    :param max_count: how many may stay, the newest ones.
    :param archive: a store to which the others are moved, with their events, metrics and outputs; without one they are
        deleted.
    :raises StorageKeyError: if there is no rule.
    """

    def __init__(
        self,
        evaluations: Evaluations,
        *,
        max_age: timedelta | None = None,
        max_count: int | None = None,
        archive: Store | None = None,
    ) -> None:
        if (max_age is None and max_count is None) or (max_count is not None and max_count < 0):
            raise StorageKeyError("retention needs a max_age, a max_count of 0 or more, or both")
        self._evaluations = evaluations
        self._max_age = max_age
        self._max_count = max_count
        self._archive = archive

    def apply(self, *, dry_run: bool = False, now: datetime | None = None) -> EvaluationsRetained:
        """Apply the rules. It may be interrupted, and be run again.

        :param dry_run: only tell what would be done.
        :param now: the time of day.
        """
        now = now or utc_now()
        seen, old = 0, []
        for number, one in enumerate(self._evaluations.every(status=ENDED)):
            seen += 1
            if self._is_old(one, now) or (self._max_count is not None and number >= self._max_count):
                old.append(one.id)
        done = [id_ for id_ in old if dry_run or self._move(id_)]
        moves = self._archive is not None
        return EvaluationsRetained(seen, done, len(done) if moves else 0, 0 if moves else len(done))

    def _is_old(self, one: Evaluation, now: datetime) -> bool:
        return self._max_age is not None and one.completed_at is not None and one.completed_at < now - self._max_age

    def archived(self) -> Iterator[str]:
        """The ids of what is in the archive, in order."""
        with as_application():
            keys = list(self._required().keys(_PREFIX))
        return (key.removeprefix(_PREFIX) for key in keys)

    def restore(self, id: str) -> None:
        """Move an evaluation back from the archive.

        :raises StorageNotFoundError: if it is not there.
        :raises StorageConflictError: if there is another one with its id by now.
        """
        archive, records = self._required(), self._evaluations.records
        found = self._archived(archive, checked_id(id))
        if found is None:
            raise StorageNotFoundError(f"there is no evaluation {shown(id)} in the archive")
        if records.get(id, texts=False) is not None:
            raise exists(id)
        there, here = Outputs(archive, records.inline), Outputs(self._evaluations.blobs, records.inline)
        first, *rest = found["events"]
        records.insert(here.moved(found["evaluation"], there), first)
        for event in rest:
            records.append("events", event)
        for metric in found["metrics"]:
            records.append("metrics", metric)
        with as_application():
            archive.delete(_PREFIX + id)
        there.forget(found["evaluation"])

    def _move(self, id_: str) -> bool:
        """Move or delete an evaluation; returns whether it was there."""
        if self._archive is not None:
            copied = None
            # What was appended or changed meanwhile is copied, too.
            while (present := self._whole(id_)) is not None and present != copied:
                copied = present
                self._copy(self._archive, copied)
        return self._evaluations.delete(id_)

    def _copy(self, archive: Store, whole: dict[str, Any]) -> None:
        inline = self._evaluations.records.inline
        there, row = Outputs(archive, inline), whole["evaluation"]
        former = self._archived(archive, row["id"])
        moved = there.moved(row, Outputs(self._evaluations.blobs, inline))
        with as_application():
            archive.put(_PREFIX + row["id"], {**whole, "evaluation": moved})
        if former is not None:
            there.forget(former["evaluation"])

    def _archived(self, archive: Store, id_: str) -> dict[str, Any] | None:
        with as_application():
            found: dict[str, Any] | None = archive.get(_PREFIX + id_)
        return found

    def _whole(self, id_: str) -> dict[str, Any] | None:
        records = self._evaluations.records
        row = records.get(id_)
        if row is None:
            return None
        evaluation = {name: value for name, value in row.items() if name in _COLUMNS}
        events = self._all("events", id_) or [new_event(id_, "submitted", "", row["created_at"], {})]
        return {"evaluation": evaluation, "events": events, "metrics": self._all("metrics", id_)}

    def _all(self, series: Series, id_: str) -> list[Row]:
        rows: list[Row] = []
        while found := self._evaluations.records.appended(series, id_, rows[-1]["id"] if rows else None, _PAGE):
            rows += found
        return rows

    def _required(self) -> Store:
        if self._archive is None:
            raise StorageKeyError("this retention has no archive; give it one")
        return self._archive
