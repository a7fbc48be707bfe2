"""One cycle of sync: reconciles the records that have changed since the last cycle, or all records."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from itertools import chain
from typing import Final

from database.changes.feed import MAX_PAGE
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.query.filters import Where
from database.core.tables.keys import Key
from database.core.tables.keys import address
from database.core.tables.keys import key_of
from database.sync.checkpoint import Checkpoint
from database.sync.checkpoint import Checkpoints
from database.sync.failures import Failures
from database.sync.progress import Progress
from database.sync.reconciler import Reconciler
from database.sync.side import RECORDS
from database.sync.side import Pair
from database.sync.side import Side
from database.sync.three_way_merge import NextAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import SideName

PAGE: Final = 1000
"""The number of ids that a comparison reads at a time."""

_KEEP: Final = 3600.0
"""Seconds for which cursors are moved in memory only, while no record had to be written: the changes that would be read
again after a restart are already reconciled."""


_ALIVE: Final = 86_400.0
"""Seconds after which a checkpoint is stored even if it is the same: it shows that the sync still runs."""


class Cycle:
    """Runs cycles for a pair, one at a time."""

    def __init__(
        self,
        pair: Pair,
        checkpoints: Checkpoints,
        reconciler: Reconciler,
        next_action: NextAction,
        failures: Failures,
        progress: Progress,
        clock: Clock = monotonic,
    ) -> None:
        self._pair = pair.name
        self._sides = pair.sides
        self._tables = pair.tables
        self._checkpoints = checkpoints
        self._reconciler = reconciler
        self._next_action = next_action
        self._failures = failures
        self._progress = progress
        self._clock = clock
        self._checkpoint: Checkpoint | None = None
        self._cursors: Mapping[SideName, str] = {}
        self._kept_at = 0.0

    def run(self, stopped: Callable[[], bool]) -> bool:
        """Run one cycle. :returns: whether every record is reconciled.

        Records that fail may need others that come later, so they are reconciled together at the end.

        :raises StoppedError: if ``stopped`` returned True; nothing is lost.
        :raises Conflict: if another process has synced the pair meanwhile.
        :raises BackendError: if a side does not respond.
        """
        self._failures.load()
        self._resume(self._checkpoints.load())
        if self._current.comparing:
            self._compare(stopped)
        self._follow(stopped)
        self._reconcile(self._failures.keys(), stopped)
        return not self._failures.keys()

    @property
    def _current(self) -> Checkpoint:
        assert self._checkpoint is not None, "set at the beginning of every cycle"
        return self._checkpoint

    def _resume(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint; keep the in-memory cursors if it is that of the last cycle."""
        if checkpoint != self._checkpoint:
            self._take(checkpoint)

    def _take(self, checkpoint: Checkpoint) -> None:
        self._checkpoint, self._cursors, self._kept_at = checkpoint, checkpoint.cursors, self._clock()

    def _reconcile(self, keys: Iterable[RecordKey], stopped: Callable[[], bool], *, again: bool = False) -> int:
        actions, _ = self._reconciler.reconcile(keys, self._current.epoch, self._next_action, stopped, again=again)
        return actions

    # Following the feeds

    def _follow(self, stopped: Callable[[], bool]) -> None:
        """Reconcile the changed records of both feeds, up to their ends."""
        more = True
        while more:
            pages = {side.name: side.changes(self._cursors[side.name], MAX_PAGE) for side in self._sides}
            if any(page.gap for page in pages.values()):
                self._take(self._checkpoints.advance(self._current, self._checkpoints.ends(), comparing=True))
                self._compare(stopped)
                continue
            changes = [change for page in pages.values() for change in page.changes]
            found = {RecordKey(one.table, one.id) for one in changes if one.table in self._tables}
            actions = self._reconcile(found, stopped, again=True)
            self._move({name: page.cursor for name, page in pages.items()}, keep=actions > 0)
            more = any(page.more for page in pages.values())
        self._progress.note_caught_up()

    def _move(self, cursors: Mapping[SideName, str], *, keep: bool) -> None:
        """Move the cursors; also the checkpoint if a record was written, or if it was last stored long ago."""
        self._cursors = cursors
        age = self._clock() - self._kept_at
        if keep or age > (_ALIVE if cursors == self._current.cursors else _KEEP):
            self._take(self._checkpoints.advance(self._current, cursors))

    # Comparing everything

    def _compare(self, stopped: Callable[[], bool]) -> None:
        """Reconcile all records of all tables. Concurrent changes are in the feeds after the cursors.

        A record with a row on either side is found by reading its table, or was created since and is in a feed. So of
        the stored bases, only those of records without any row remain to be reconciled.
        """
        for keys in chain(self._present(), *map(self._remembered, self._sides)):
            self._reconcile(keys, stopped, again=True)
        self._take(self._checkpoints.advance(self._current, self._current.cursors))

    def _present(self) -> Iterator[list[RecordKey]]:
        """Yield pages of the records with a row on either side."""
        for table in self._tables:
            for addresses in self._all_addresses(table):
                yield [RecordKey(table, address) for address in addresses]

    def _all_addresses(self, table: str) -> Iterator[list[str]]:
        """Yield pages of the addresses of both sides' rows, in the order of their keys."""
        schema = self._sides[0].adapter.schema.table(table)
        last: Key | None = None
        more = True
        while more:
            pages = [side.page(table, None, last, PAGE, schema.key) for side in self._sides]
            # A full page says nothing about the keys after its last one.
            last = min((end for _, end in pages if end is not None), default=None)
            more = last is not None
            keys = {key_of(schema, row) for rows, _ in pages for row in rows}
            yield [address(schema, key) for key in sorted(keys) if last is None or key <= last]

    def _remembered(self, side: Side) -> Iterator[list[RecordKey]]:
        """Yield pages of records that have a base but no row on either side; delete the bases of other epochs."""
        where, columns = Where("pair", "eq", self._pair), ("id", "epoch", "table_name", "record_id")
        last: Key | None = None
        more = True
        while more:
            rows, last = side.page(RECORDS, where, last, PAGE, columns)
            more = last is not None
            if void := [row["id"] for row in rows if row["epoch"] != self._current.epoch]:
                side.remove(RECORDS, void)
            remembered = [RecordKey(row["table_name"], row["record_id"]) for row in rows if row["id"] not in void]
            keys = [key for key in remembered if key.table in self._tables]
            for one in self._sides:
                keys = list(one.absent(keys))
            yield keys
