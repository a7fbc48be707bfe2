"""Compares windows of records. What is certain is done in bulk; the addresses of the others are returned.

A record is certain if both sides have the row that they agreed on last, or if they have never agreed on any, and either
one side has a row, or both have the same. The rows were read before the bases, and perhaps some time ago: whatever
was changed meanwhile is in the change feeds, and follows, or has followed already and is not certain any more.
"""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from threading import RLock

from database.core.errors import RequestError
from database.core.result import Row
from database.sync.bulk.bases import Faults
from database.sync.bulk.marks import require_not_restored
from database.sync.bulk.side import BulkSide
from database.sync.bulk.windows import RecordWindow
from database.sync.progress import Progress
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import newest_base


@dataclass(slots=True)
class _Decided:
    """What is to be done with the records of a window, by their addresses.

    :ivar agreed: their rows, of those that both sides have, but without a base.
    :ivar new: their rows, of those that only the one side or only the other has.
    :ivar others: those that are left to the reconciler.
    """

    agreed: dict[str, str] = field(default_factory=dict)
    new: tuple[dict[str, str], dict[str, str]] = field(default_factory=lambda: ({}, {}))
    others: list[str] = field(default_factory=list)


class Comparison:
    """Compares the records of two sides.

    :param lock: is held for one window at a time.
    :param with_units: the tables whose new records may conflict with others, so that none of them is certain.
    """

    def __init__(
        self, sides: tuple[BulkSide, BulkSide], progress: Progress, lock: RLock, with_units: frozenset[str]
    ) -> None:
        self._sides = sides
        self._progress = progress
        self._lock = lock
        self._with_units = with_units

    def carry_out(self, window: RecordWindow, epoch: str, changed: Collection[RecordKey]) -> list[str]:
        """Compare the records of a window, and do in bulk what is certain.

        :param changed: records that may have been changed and reconciled since they were read.
        :returns: the addresses of the other records.
        :raises Restored: if a side was restored from a backup.
        """
        with self._lock:
            sides = [one.side for one in self._sides]
            for side in sides:
                side.read_marks(epoch)
            require_not_restored(sides, epoch)
            decided = self._decided(window, epoch, changed)
            self._carry_out(window, decided, epoch)
        self._progress.count(window.table, "compared", len(window.addresses) - len(decided.others))
        return decided.others

    def _decided(self, window: RecordWindow, epoch: str, changed: Collection[RecordKey]) -> _Decided:
        first, second = window.texts
        faults: Faults = {}
        bases = [side.bases(window.table, window.addresses, epoch, faults) for side in self._sides]
        decided = _Decided()
        if faults:
            decided.others = list(window.addresses)
            return decided
        is_copy = not (first and second) and not (window.unreadable or changed or any(bases))
        if is_copy and window.table not in self._with_units:
            # As in a first load: all are of one kind.
            decided.new[not first].update(first or second)
            return decided
        for one in window.addresses:
            here, there = first.get(one), second.get(one)
            if one in window.unreadable or (changed and (window.table, one) in changed):
                decided.others.append(one)
            elif one in bases[0] or one in bases[1]:
                agreed = newest_base(bases[0].get(one), bases[1].get(one))
                if here is None or here != there or agreed is None or agreed.text != here:
                    decided.others.append(one)
            elif here is None or there is None:
                if window.table in self._with_units:
                    decided.others.append(one)
                else:
                    decided.new[here is None][one] = here or there or ""
            elif here == there:
                decided.agreed[one] = here
            else:
                decided.others.append(one)
        return decided

    def _carry_out(self, window: RecordWindow, decided: _Decided, epoch: str) -> None:
        """Write what was decided; what is refused becomes one of the others."""
        if decided.agreed:
            self._added(0, window, {}, decided.agreed, epoch, decided.others)
        for source, texts in enumerate(decided.new):
            if texts:
                written = self._added(1 - source, window, window.rows[source], texts, epoch, decided.others)
                self._progress.count(window.table, f"copied_to_{SIDES[1 - source]}", written)

    def _added(
        self,
        target: int,
        window: RecordWindow,
        rows: Mapping[str, Row],
        texts: dict[str, str],
        epoch: str,
        others: list[str],
    ) -> int:
        written_from = self._sides[1 - target].side.count_read(epoch)
        side, addition = self._sides[target], window.copy
        if not (rows and addition and addition.epoch == epoch and len(addition.addresses) == len(texts)):
            addition = side.addition(window.table, [rows[one] for one in texts] if rows else [], texts, epoch)
        try:
            side.add(addition, written_from)
        except RequestError:
            others += texts
            return 0
        return len(texts)
