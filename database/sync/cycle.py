"""One cycle of sync: reconciles the records that have changed since the last cycle, or all records."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import closing
from itertools import chain
from typing import Final

from database.changes.feed import MAX_PAGE
from database.changes.feed import Change
from database.changes.feed import Changes
from database.core.bulk_work import bulk_work
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.query.filters import Where
from database.core.tables.keys import Key
from database.core.tables.keys import checked_key
from database.sync.bulk.bases import RECORDS
from database.sync.bulk.comparison import Comparison
from database.sync.bulk.marks import Restored
from database.sync.bulk.read_ahead import read_ahead
from database.sync.bulk.side import BulkSide
from database.sync.bulk.windows import RecordWindow
from database.sync.bulk.windows import windows
from database.sync.checkpoint import Checkpoint
from database.sync.checkpoint import Checkpoints
from database.sync.chunks import Chunks
from database.sync.conflicts.strategies import Deciding
from database.sync.failures import Failures
from database.sync.progress import Progress
from database.sync.reconciler import Reconciler
from database.sync.reconciler import StoppedError
from database.sync.side import Pair
from database.sync.side import Side
from database.sync.three_way_merge import NextAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import SideName

logger = logging.getLogger(__name__)

Pages = Mapping[SideName, Changes]
"""A page of the feed of each side, or of one."""

PAGE: Final = 1000
"""The most records that are read at a time, or bases of records without a row."""

WINDOW: Final = 10_000
"""The most records of a comparison that are read and written at a time."""

LARGE: Final = 1000
"""Records of a comparison during whose writing the next ones are read."""

REQUEST: Final = 250
"""The same, if a side takes a transaction as one request: with bases, so many records are twice as many changes."""

SAVED_AFTER: Final = 1.0
"""Seconds after which the position of a comparison is stored."""

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
        self._in_bulk = BulkSide(pair.sides[0]), BulkSide(pair.sides[1])
        with_units = next_action.units.tables if isinstance(next_action, Deciding) else frozenset()
        self._comparison = Comparison(self._in_bulk, progress, reconciler.lock, with_units)
        at_once = any(side.sends_at_once for side in self._in_bulk)
        self._window_sizes = Chunks(bulk=True, largest=REQUEST if at_once else WINDOW)
        self._compared: tuple[str, str] | None = None
        self._changed: set[RecordKey] = set()
        self._checkpoint: Checkpoint | None = None
        self._cursors: Mapping[SideName, str] = {}
        self._kept_at = 0.0

    def run(self, stopped: Callable[[], bool]) -> bool:
        """Run one cycle. :returns: whether every record is reconciled.

        Records that fail may need others that come later, so they are reconciled together at the end.

        :raises StoppedError: if ``stopped`` returned True; nothing is lost.
        :raises Conflict: if another process has synced the pair meanwhile, or a side was restored in this moment.
        :raises BackendError: if a side does not respond.
        """
        self._failures.load()
        at, pages = self._checkpoint, self._read_at_rest()
        if pages is not None and not any(page.changes or page.more or page.gap for page in pages.values()):
            self._progress.note_caught_up()
            return True
        with bulk_work():
            self._resume(self._checkpoints.load())
            try:
                self._bring_together(stopped, pages if self._checkpoint is at else None)
            except Restored as error:
                logger.warning("%s: %s", self._pair, error)
                self._resume(self._checkpoints.begin_epoch())
                self._bring_together(stopped)
        return not self._failures.keys()

    def _read_at_rest(self) -> Pages | None:
        """Read both feeds, unless there is something to do already. Most cycles find nothing, with three reads."""
        at = self._checkpoint
        if at is None or at.comparing or self._failures.keys() or self._clock() - self._kept_at > _KEEP:
            return None
        return self._read(self._sides) if self._checkpoints.is_still(at) else None

    def _read(self, sides: Iterable[Side]) -> Pages:
        return {side.name: side.changes(self._cursors[side.name], MAX_PAGE) for side in sides}

    def _bring_together(self, stopped: Callable[[], bool], pages: Pages | None = None) -> None:
        while (self._current.comparing and not self._compare(stopped)) or not self._follow(stopped, pages):
            logger.info("the change feeds of %s lack changes; all records are compared", self._pair)
            pages = None
        self._reconcile(self._failures.keys(), stopped)

    @property
    def _current(self) -> Checkpoint:
        assert self._checkpoint is not None, "set at the beginning of every cycle"
        return self._checkpoint

    def _resume(self, checkpoint: Checkpoint) -> None:
        """Resume from a checkpoint; keep the in-memory cursors if it is that of the last cycle."""
        if checkpoint != self._checkpoint:
            self._take(checkpoint)
            # Another process has read on, perhaps past what this one has written.
            for side in self._sides:
                side.echoes.forget()

    def _take(self, checkpoint: Checkpoint) -> None:
        self._checkpoint, self._cursors, self._kept_at = checkpoint, checkpoint.cursors, self._clock()

    def _reconcile(
        self,
        keys: Iterable[RecordKey],
        stopped: Callable[[], bool],
        *,
        again: bool = False,
        changed_on: SideName | None = None,
    ) -> int:
        actions, _ = self._reconciler.reconcile(
            keys, self._current.epoch, self._next_action, stopped, again=again, changed_on=changed_on
        )
        return actions

    # Following the feeds

    def _follow(self, stopped: Callable[[], bool], pages: Pages | None = None) -> bool:
        """Reconcile the changed records of both feeds, up to their ends.

        :param pages: the first pages, if they were read already.
        :returns: False if changes are missing from a feed, so that all records have to be compared.
        """
        unread: Sequence[Side] = self._sides
        while unread:
            pages = pages or self._read(unread)
            if any(page.gap for page in pages.values()):
                self._take(self._checkpoints.advance(self._current, self._checkpoints.ends(), comparing=True))
                return False
            changes = {
                side.name: [one for one in side.echoes.not_in(pages[side.name]) if one.table in self._tables]
                for side in unread
            }
            found = {RecordKey(one.table, one.id) for one in chain.from_iterable(changes.values())}
            if self._current.comparing:
                self._changed |= found
            actions = self._reconcile(found, stopped, again=True, changed_on=_only_changed_on(changes))
            self._move({**self._cursors, **{name: page.cursor for name, page in pages.items()}}, keep=actions > 0)
            unread, pages = [side for side in unread if pages[side.name].more], None
        self._progress.note_caught_up()
        return True

    def _move(self, cursors: Mapping[SideName, str], *, keep: bool) -> None:
        """Move the cursors; also the checkpoint if a record was written, or if it was last stored long ago."""
        self._cursors = cursors
        age = self._clock() - self._kept_at
        if keep or age > (_ALIVE if cursors == self._current.cursors else _KEEP):
            self._keep()

    def _keep(self) -> None:
        """Store how far the feeds were read, and how far a comparison has got."""
        at = self._current
        compared = self._compared if at.comparing else None
        self._take(self._checkpoints.advance(at, self._cursors, comparing=at.comparing, compared=compared))

    # Comparing everything

    def _compare(self, stopped: Callable[[], bool]) -> bool:
        """Reconcile all records of all tables, from where a comparison has been interrupted.

        Concurrent changes are in the feeds behind the cursors, also those of records that were compared before the
        feeds were read again. A record with a row on either side is found by reading its table, or was created since
        and is in a feed. So of the stored bases, only those of records without any row remain to be reconciled; in the
        first comparison of an epoch there are none, because their deletion is in a feed, too.

        :returns: False if changes are missing from a feed, so that everything has to be compared once more.
        """
        # What the feeds lack, or a restore has undone, may concern records that wait for a decision.
        self._failures.open.load(again=True)
        self._compared = self._current.compared
        self._changed.clear()
        with closing(self._windows()) as found:
            for window in found:
                if stopped():
                    raise StoppedError
                self._compare_window(window, stopped)
                # What sync has written is at the end of the feeds now. It is read soon, because only this process knows
                # that it is no change, and because a feed may keep few changes.
                if not self._follow(stopped):
                    return False
                if self._clock() - self._kept_at >= SAVED_AFTER:
                    self._keep()
        for keys in chain.from_iterable(map(self._remembered, self._sides)):
            self._reconcile(keys, stopped, again=True)
        self._take(self._checkpoints.advance(self._current, self._cursors))
        return True

    def _compare_window(self, window: RecordWindow, stopped: Callable[[], bool]) -> None:
        others = self._comparison.carry_out(window, self._current.epoch, self._changed)
        self._reconcile([RecordKey(window.table, one) for one in others], stopped, again=True)
        self._compared = window.table, window.addresses[-1]
        if self._changed:
            self._changed.difference_update([RecordKey(window.table, one) for one in window.addresses])

    def _windows(self) -> Generator[RecordWindow, None, None]:
        """The records that have a row on either side and were not compared yet."""
        return read_ahead(self._read_windows(), lambda window: len(window.addresses) >= LARGE)

    def _read_windows(self) -> Iterator[RecordWindow]:
        table, last = self._current.compared or (self._tables[0], None)
        start = self._tables.index(table) if table in self._tables else 0
        for name in self._tables[start:]:
            schema = self._sides[0].adapter.schema.table(name)
            behind = checked_key(schema, last) if last is not None and name == table else None
            for window in windows(self._in_bulk, schema, behind, self._window_sizes, self._current.epoch):
                characters = sum(sum(map(len, one.values())) for one in window.texts)
                self._window_sizes.note(len(window.addresses), characters)
                yield window

    def _remembered(self, side: Side) -> Iterator[list[RecordKey]]:
        """Yield pages of records that have a base but no row on either side; delete the bases of other epochs."""
        where, columns = Where("pair", "eq", self._pair), ("id", "epoch", "table_name", "record_id")
        epoch = self._current.epoch
        only_void = where & Where("epoch", "neq", epoch)
        last: Key | None = None
        more = True
        while more:
            rows, last = side.page(RECORDS, only_void if self._current.first else where, last, PAGE, columns)
            more = last is not None
            if void := [row["id"] for row in rows if row["epoch"] != epoch]:
                side.remove(RECORDS, void)
            remembered = [RecordKey(row["table_name"], row["record_id"]) for row in rows if row["epoch"] == epoch]
            keys = [key for key in remembered if key.table in self._tables]
            for one in self._sides:
                keys = list(one.absent(keys))
            yield keys


def _only_changed_on(changes: Mapping[SideName, Sequence[Change]]) -> SideName | None:
    """The only side with changes, if none of them is a deletion, which may take other records along."""
    changed = [name for name, found in changes.items() if found]
    if len(changed) != 1 or any(one.kind == "delete" for one in changes[changed[0]]):
        return None
    return changed[0]
