"""Carries a move out. Each step may be killed at any moment: the next process goes on with the same step.

The copy, and the changes that follow it, are ordinary two-way sync, which goes on after the cut over until the end of
the move: so what was written to the former primary at the last moment is carried over, and the way back stays open.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from time import sleep
from typing import Final
from typing import Literal

from database.adapter.base import DatabaseAdapter
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.errors import RequestError
from database.core.operations import Upsert
from database.failover.recorded import RECORDS_TABLE
from database.failover.recorded import RecordedPrimary
from database.failover.recorded import recorded
from database.sync.audit.auditor import Auditor
from database.sync.audit.findings import Findings
from database.sync.checkpoint import Checkpoints
from database.sync.manager import SyncManager
from database.sync.move.check import Report
from database.sync.move.check import check
from database.sync.move.check import count
from database.sync.move.trial import chosen
from database.sync.side import Side
from database.sync.status.notes import note
from database.sync.status.notes import write_note
from database.sync.three_way_merge import RecordKey
from database.sync.untangling.part_by_part import Failed
from database.unit_of_work import apart

Phase = Literal["copy", "follow", "moved", "finished"]

HELD: Final = 20.0
"""The most seconds for which writes wait at a cut over; less than the time that a request may take."""

_MARGIN: Final = 5.0
"""Seconds before the end of that time after which the cut over is given up, because processes may write again."""

_CYCLES: Final = 20
"""The most cycles until all records are copied; each begins with those that failed."""

_PATIENCE: Final = 60.0
"""Seconds for which the verification waits for changes in flight, each time that there are some."""


class MoveError(RequestError):
    """A move cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Databases:
    """The databases of the application.

    :ivar adapters: by name, in the order of ``DB_ADAPTER_ORDER``.
    :ivar source: the name of the database that the application leaves.
    :ivar target: the name of the one that it goes to.
    :ivar check_every: seconds between two questions of a process about the primary.
    """

    adapters: Mapping[str, DatabaseAdapter]
    source: str
    target: str
    check_every: float


class Mover:
    """A move between the two sides of a manager, which syncs all tables, those of accounts, too.

    :param pause: waits that many seconds.
    """

    def __init__(
        self,
        manager: SyncManager,
        databases: Databases,
        pause: Callable[[float], object] = sleep,
        clock: Clock = monotonic,
    ) -> None:
        self.manager = manager
        self._databases = databases
        self._pause = pause
        self._clock = clock
        by_adapter = {side.adapter: side for side in manager.pair.sides}
        self._source: Side = by_adapter[databases.adapters[databases.source]]
        self._target: Side = by_adapter[databases.adapters[databases.target]]
        self._failures: list[dict[str, str]] | None = None
        self._keeper = manager.pair.sides[0]
        self._name = self._keeper.record_id(RecordKey("move", f"{databases.source}>{databases.target}"))

    @property
    def phase(self) -> Phase:
        """How far the move got."""
        kept = note(self._keeper, self._name)
        phase: Phase = "copy" if kept is None else kept["phase"]
        if phase == "finished":
            return phase
        if self.primary() == self._databases.target:
            return "moved"
        return "follow" if phase == "moved" else phase

    def primary(self) -> str:
        """The name of the database that takes the writes."""
        known = recorded(self._databases.adapters.values())
        return next(iter(self._databases.adapters)) if known is None else known.name

    def check(self, tell: Callable[[int], object]) -> Report:
        """Check whether the move is possible. Changes nothing."""
        report = check(self.manager, self._source, self._target, tell)
        if self.primary() not in {self._databases.source, self._databases.target}:
            report.problems.append(f"the primary is {self.primary()}, not {self._databases.source}")
        return report

    def size(self) -> int:
        """The number of records of the source."""
        return sum(count(self._source.adapter, table) for table in self.manager.tables)

    def trial(self, limit: int) -> tuple[int, Failed]:
        """Copy some records of each table. :returns: their number, and those that failed."""
        keys = chosen(self._source, self.manager.tables, limit)
        return len(keys), self.manager.reconcile(keys)

    def copy(self) -> None:
        """Copy all records, and follow the changes until none is left.

        :raises MoveError: for records that cannot be written.
        """
        self._release()
        self._store("copy")
        self._sync_all()
        self._store("follow")

    def verify(self) -> Findings:
        """Compare all records of both sides, while changes go on. :returns: the findings."""
        auditor = Auditor(
            self.manager.pair,
            Checkpoints(self.manager.pair),
            self.manager.tables,
            patience=_PATIENCE,
            pause=lambda _: self.manager.sync_all(),
        )
        return auditor.run(lambda: False)

    def cut_over(self, to: str) -> RecordedPrimary:
        """Make a database the primary of all processes.

        Writes wait meanwhile: no process writes to the former primary once it has asked for the record. Transactions
        that had begun there are carried over by sync.

        :param to: the name of the source or of the target.
        :raises MoveError: if the last changes could not be carried over in time; the primary is the former one.
        """
        self._sync_all()
        known = self._record(self.primary(), HELD)
        until = self._clock() + HELD - _MARGIN
        winner = known.name
        try:
            self._pause(self._databases.check_every)
            self._sync_all()
            if self._clock() > until:
                raise MoveError("the last changes took too long to be carried over; try again when fewer are made")
            winner = to
        finally:
            known = self._record(winner)
        self._store("moved" if to == self._databases.target else "follow")
        return known

    def follow(self) -> bool:
        """Carry changes over in both directions, once. :returns: whether every record is reconciled."""
        return self.manager.sync_all()

    def finish(self) -> Findings:
        """End the move if both sides are equal; nothing keeps them equal afterwards. :returns: the findings."""
        self._sync_all()
        findings = self.verify()
        if findings.equal:
            self._store("finished")
        return findings

    def _sync_all(self) -> None:
        for _ in range(_CYCLES):
            if self.manager.sync_all():
                return
            status = self.manager.get_sync_status()
            if status["last_error"] is None and status["failures"] and self._is_final(status["failures"]):
                break
        raise MoveError(self._reason())

    def _is_final(self, failures: list[dict[str, str]]) -> bool:
        """Whether the same records fail as before."""
        former, self._failures = self._failures, failures
        return former == failures

    def _reason(self) -> str:
        status = self.manager.get_sync_status()
        if not status["failures"]:
            return f"sync failed: {status['last_error'] or 'it did not come to an end'}"
        first = status["failures"][0]
        number = len(status["failures"])
        return f"{number} records cannot be written, such as {first['table']} {first['id']}: {first['reason']}"

    def _release(self) -> None:
        """End a cut over that was killed: writes go on, and both databases have the same record."""
        found = [recorded([side.adapter]) for side in self.manager.pair.sides]
        known = recorded(self._databases.adapters.values())
        if known is not None and (known.held or any(one != known for one in found)):
            self._record(known.name)

    def _record(self, name: str, held: float = 0.0) -> RecordedPrimary:
        """Record the primary, first in the database that it is, so that no process finds an older record there."""
        known = recorded(self._databases.adapters.values())
        made = RecordedPrimary(name, 1 + (0 if known is None else known.epoch), held)
        primary = self._databases.adapters[name]
        sides = sorted((self._source, self._target), key=lambda side: side.adapter is not primary)
        for side in sides:
            with apart():
                side.adapter.run(Upsert(RECORDS_TABLE, [made.as_row()], returning=False, verbatim=True))
        return made

    def _store(self, phase: Phase) -> None:
        write_note(self._keeper, self._name, {"phase": phase, "source": self._source.adapter.name})
