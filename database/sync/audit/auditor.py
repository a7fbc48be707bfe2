"""Compares all records of a pair, page by page; goes on where an earlier run ended."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from time import sleep
from typing import Any
from typing import Final

from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.clock import utc_now
from database.sync.audit.findings import KINDS
from database.sync.audit.findings import Difference
from database.sync.audit.findings import Findings
from database.sync.audit.in_flight import Pause
from database.sync.audit.in_flight import SecondLook
from database.sync.audit.pages import PAGE
from database.sync.audit.pages import compared_page
from database.sync.checkpoint import Checkpoints
from database.sync.side import Pair
from database.sync.status.notes import note
from database.sync.status.notes import write_note
from database.sync.three_way_merge import RecordKey

_MOST_DOUBTFUL: Final = 1000
"""The records that are looked at again together, so that memory is bounded."""

_KEEP_EVERY: Final = 2.0
"""Seconds between two times at which the position is stored."""

Repair = Callable[[Iterable[RecordKey], bool], object]
"""Reconciles records. With True, a record that one side lacks gets there again; with False, that may be a deletion."""


class Auditor:
    """Audits tables of a pair. Its position is stored on the first side, after all that comes before it was decided.

    :param tables: the tables, in order.
    :param repair: called for differences; None only tells them.
    :param patience: seconds to wait for changes in flight, each time that there are some.
    :param quick: whether the bodies of stores' entries are left out: they are equal if the etags are.
    """

    def __init__(
        self,
        pair: Pair,
        checkpoints: Checkpoints,
        tables: Sequence[str],
        repair: Repair | None = None,
        patience: float = 0.0,
        pause: Pause = sleep,
        clock: Clock = monotonic,
        *,
        quick: bool = False,
    ) -> None:
        self._pair = pair
        self._quick = quick
        self._tables = tuple(tables)
        self._repair = repair
        self._again = SecondLook(pair, checkpoints, patience, pause, clock)
        self._clock = clock
        self._side = pair.sides[0]
        self._name = self._side.record_id(RecordKey("audit", ",".join(self._tables)))
        self._findings = Findings()
        self._table: str | None = self._tables[0]
        self._behind: str | None = None
        self._began = utc_now().isoformat()
        self._last: Mapping[str, Any] | None = None
        self._kept_at = clock()

    def resume(self) -> bool:
        """Go on where the last run ended. :returns: False if it had ended with the last record, or if there is none."""
        kept = note(self._side, self._name)
        self._last = None if kept is None else kept.get("last")
        if kept is None or kept.get("table") not in self._tables:
            return False
        self._table, self._behind, self._began = kept["table"], kept["behind"], kept["began"]
        self._findings = Findings.from_json(kept["findings"])
        return True

    def run(self, stopped: Callable[[], bool], limit: int | None = None) -> Findings:
        """Compare records until the end, a stop, or about ``limit`` of them.

        After the end, the next call begins with the first record.

        :param stopped: called before each page.
        :returns: the findings since the beginning.
        :raises BackendError: if a side does not respond; the next run goes on.
        """
        compared = 0
        doubtful: list[RecordKey] = []
        while self._table is not None and not stopped() and (limit is None or compared < limit):
            size = PAGE if limit is None else min(PAGE, limit - compared)
            page = compared_page(self._pair, self._table, self._behind, size, quick=self._quick)
            compared += page.records
            self._findings.counts(self._table)["compared"] += page.records
            for reason in page.nameless:
                self._findings.add(Difference(self._table, None, "unreadable", reason=reason))
            doubtful += [RecordKey(self._table, address) for address in page.doubtful]
            self._behind = page.last
            if page.last is None:
                self._table = self._next(self._table)
            if len(doubtful) >= _MOST_DOUBTFUL:
                self._decide(doubtful)
                doubtful = []
            if not doubtful and self._clock() - self._kept_at > _KEEP_EVERY:
                self._keep()
        self._decide(doubtful)
        return self._end()

    def status(self) -> dict[str, Any]:
        """The state: the table that is compared, the counts since the beginning, and the result of the last audit."""
        findings = self._findings
        return {
            "table": self._table,
            "began": self._began,
            **{name: findings.total(name) for name in ("compared", *KINDS, "in_flight", "repaired")},
            "last": self._last,
        }

    def _next(self, table: str) -> str | None:
        place = self._tables.index(table) + 1
        return self._tables[place] if place < len(self._tables) else None

    def _decide(self, doubtful: Sequence[RecordKey]) -> None:
        """Look at records again, count those that differ, and repair them."""
        if not doubtful:
            return
        found, waiting = self._again.at(doubtful)
        for difference in found:
            self._findings.add(difference)
        if self._repair is not None:
            self._mend(self._repair, found, waiting)
        for key in waiting:
            self._findings.counts(key.table)["in_flight"] += 1

    def _mend(self, repair: Repair, found: Sequence[Difference], waiting: list[RecordKey]) -> None:
        lost = [one.key for one in found if one.kind.startswith("missing") and one.key is not None]
        others = [one.key for one in found if not one.kind.startswith("missing") and one.key is not None]
        repair(lost, True)
        repair([*others, *waiting], False)
        rest, still = self._again.at([*lost, *others, *waiting])
        differing = {*(one.key for one in rest), *still}
        for key in {*lost, *others} - differing:
            self._findings.counts(key.table)["repaired"] += 1
        waiting[:] = [key for key in waiting if key in differing]

    def _end(self) -> Findings:
        findings = self._findings
        if self._table is None:
            findings.complete = True
            self._last = {"began": self._began, "ended": utc_now().isoformat(), **findings.as_json()}
            self._table, self._behind, self._findings = self._tables[0], None, Findings()
            self._began = utc_now().isoformat()
        self._keep()
        return findings

    def _keep(self) -> None:
        at = {"table": self._table, "behind": self._behind, "began": self._began}
        if self._behind is None and self._table == self._tables[0]:
            at["table"] = None
        write_note(self._side, self._name, at | {"findings": self._findings.as_json(), "last": self._last})
        self._kept_at = self._clock()
