"""One cycle of sync: what has changed on either side since the last one, or everything, is brought together."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from typing import Final

from database.changes.feed import MAX_PAGE
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.query import Where
from database.sync.checkpoint import Checkpoint
from database.sync.checkpoint import Checkpoints
from database.sync.decision import Decide
from database.sync.decision import Key
from database.sync.decision import SideName
from database.sync.failures import Failures
from database.sync.progress import Progress
from database.sync.settling import Settler
from database.sync.side import RECORDS
from database.sync.side import Pair
from database.sync.side import Side

PAGE: Final = 500
"""Ids that a comparison asks a side for at a time."""

_KEEP: Final = 3600.0
"""Seconds for which cursors are moved in memory only, while nothing had to be written: what would be read again after
a restart is settled already."""


class Cycle:
    """Runs cycles for a pair, one at a time."""

    def __init__(
        self,
        pair: Pair,
        checkpoints: Checkpoints,
        settler: Settler,
        decide: Decide,
        failures: Failures,
        progress: Progress,
        clock: Clock = monotonic,
    ) -> None:
        self._pair = pair.name
        self._sides = pair.sides
        self._tables = pair.tables
        self._checkpoints = checkpoints
        self._settler = settler
        self._decide = decide
        self._failures = failures
        self._progress = progress
        self._clock = clock
        self._checkpoint: Checkpoint | None = None
        self._cursors: Mapping[SideName, str] = {}
        self._kept_at = 0.0

    def run(self, stopped: Callable[[], bool]) -> bool:
        """Run one cycle; whether every record is settled.

        :raises StoppedError: if it was asked to stop; nothing is lost.
        :raises Conflict: if another process has gone on with the sync of the pair meanwhile.
        :raises BackendError: if a side does not answer.
        """
        self._failures.load()
        self._resume(self._checkpoints.load())
        if self._known.comparing:
            self._compare(stopped)
        self._follow(stopped)
        self._settle(self._failures.keys(), stopped)
        return not self._failures.keys()

    @property
    def _known(self) -> Checkpoint:
        assert self._checkpoint is not None, "set at the beginning of every cycle"
        return self._checkpoint

    def _resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint; from further on if it is the one of the last cycle."""
        if checkpoint != self._checkpoint:
            self._take(checkpoint)

    def _take(self, checkpoint: Checkpoint) -> None:
        self._checkpoint, self._cursors, self._kept_at = checkpoint, checkpoint.cursors, self._clock()

    def _settle(self, keys: Iterable[Key], stopped: Callable[[], bool]) -> int:
        steps, _ = self._settler.settle(keys, self._known.session, self._decide, stopped)
        return steps

    # Following the feeds

    def _follow(self, stopped: Callable[[], bool]) -> None:
        """Settle what the feeds tell, to their ends."""
        more = True
        while more:
            pages = {side.name: side.changes(self._cursors[side.name], MAX_PAGE) for side in self._sides}
            if any(page.gap for page in pages.values()):
                self._take(self._checkpoints.advance(self._known, self._checkpoints.ends(), comparing=True))
                self._compare(stopped)
                continue
            changes = [change for page in pages.values() for change in page.changes]
            steps = self._settle({Key(one.table, one.id) for one in changes if one.table in self._tables}, stopped)
            self._move({name: page.cursor for name, page in pages.items()}, keep=steps > 0)
            more = any(page.more for page in pages.values())
        self._progress.caught_up()

    def _move(self, cursors: Mapping[SideName, str], *, keep: bool) -> None:
        """Move the cursors; the checkpoint, too, if something was written, or long ago."""
        self._cursors = cursors
        if keep or (cursors != self._known.cursors and self._clock() - self._kept_at > _KEEP):
            self._take(self._checkpoints.advance(self._known, cursors))

    # Comparing everything

    def _compare(self, stopped: Callable[[], bool]) -> None:
        """Settle all records of all tables. What changes meanwhile is in the feeds behind the cursors."""
        for table in self._tables:
            for ids in self._all_ids(table):
                self._settle([Key(table, record_id) for record_id in ids], stopped)
        for side in self._sides:
            self._settle_remembered(side, stopped)
        self._take(self._checkpoints.advance(self._known, self._known.cursors))

    def _all_ids(self, table: str) -> Iterator[list[str]]:
        """The ids of both sides' rows, in order, in pages."""
        last: str | None = ""
        while last is not None:
            pages = [side.page(table, None, last, PAGE, ("id",)) for side in self._sides]
            # A page that is full says nothing of what comes behind its last id.
            last = min((end for _, end in pages if end is not None), default=None)
            yield sorted({row["id"] for rows, _ in pages for row in rows if last is None or row["id"] <= last})

    def _settle_remembered(self, side: Side, stopped: Callable[[], bool]) -> None:
        """Settle the records that are remembered and may be gone from both sides; forget those of other sessions."""
        where, columns = Where("pair", "eq", self._pair), ("id", "session", "table_name", "record_id")
        last: str | None = ""
        while last is not None:
            rows, last = side.page(RECORDS, where, last, PAGE, columns)
            if void := [row["id"] for row in rows if row["session"] != self._known.session]:
                side.remove(RECORDS, void)
            keys = [Key(row["table_name"], row["record_id"]) for row in rows if row["id"] not in void]
            self._settle([key for key in keys if key.table in self._tables], stopped)
