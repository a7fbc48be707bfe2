"""The checkpoint of a sync: how far both change feeds have been processed, stored on both sides.

A checkpoint is moved in three transactions: on the first side, where it is marked as unsettled; on the second side; and
on the first again. After a crash in between, sync resumes from the second side's checkpoint. Any other difference
means that a side was restored or emptied, so that the stored bases of its records are invalid: a new epoch begins with
a comparison of all records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from datetime import datetime
from threading import Lock
from typing import Any
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.core.errors import Conflict
from database.core.errors import SchemaMismatch
from database.core.operations import Select
from database.core.query.filters import Where
from database.core.result import Row
from database.failover.recorded import NOTE
from database.sync.bulk.bases import new_epoch
from database.sync.side import Pair
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import SideName
from database.unit_of_work import apart

CURSORS: Final = "isthmus_sync_cursors"

_FORMER: Final[Mapping[SideName, str]] = {"first": "supabase", "second": "convex"}
"""The cursors' names in rows from before migration 0006; on Convex, no migration rewrites them."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The position of a sync.

    :ivar epoch: the epoch of the stored bases; bases of other epochs are invalid.
    :ivar round: how often the checkpoint was moved, counted over all epochs.
    :ivar cursors: the position in each side's change feed.
    :ivar tables: the synced tables.
    :ivar comparing: whether all records have to be compared, because the feeds do not contain all changes.
    :ivar compared: the table and the address of the last record that was compared; None if none was.
    :ivar first: whether this comparison is the first one of the epoch: no record was agreed on before it.
    """

    epoch: str
    round: int
    cursors: Mapping[SideName, str]
    tables: tuple[str, ...]
    comparing: bool
    compared: tuple[str, str] | None = None
    first: bool = False

    def as_row(self, pair: str, *, unsettled: bool) -> dict[str, Any]:
        """The row that stores the checkpoint."""
        place: dict[str, Any] = {"tables": list(self.tables), "comparing": self.comparing, "unsettled": unsettled}
        place |= {"compared": list(self.compared)} if self.compared else {}
        place |= {"in_first_comparison": True} if self.first else {}
        return {"id": pair, "version": self.round, "epoch": self.epoch, "cursors": {**place, **self.cursors}}


@dataclass(frozen=True, slots=True)
class Follower:
    """A sync that reads the change log of a database.

    :ivar pair: its name.
    :ivar cursors: of both sides.
    :ivar seen: when it last stored how far it had read; at least once a day while it runs.
    """

    pair: str
    cursors: tuple[str, ...]
    seen: datetime


def followers(adapter: DatabaseAdapter) -> list[Follower]:
    """Return the syncs that have a checkpoint on a database.

    :raises UnreadableRecord: if a checkpoint cannot be read.
    """
    if CURSORS not in adapter.schema:
        return []
    try:
        with apart():
            found = adapter.run(Select(CURSORS, ("id", "cursors", "updated_at"), Where("epoch", "neq", NOTE)))
    except SchemaMismatch:
        return []
    for bad in found.unreadable:
        raise bad.error()
    return [Follower(row["id"], tuple(_cursors(row["cursors"]).values()), row["updated_at"]) for row in found]


class Checkpoints:
    """Reads and moves the checkpoint of a pair."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair.name
        self._sides = pair.sides
        self._tables = pair.tables
        self._lock = Lock()

    def load(self) -> Checkpoint:
        """The present checkpoint; that of a new epoch if there is none that both sides agree on.

        :raises Conflict: if another process does the same at this moment.
        """
        with self._lock:
            rows = self.rows()
            checkpoint = agreed(*rows)
            if checkpoint is None:
                return self._begin_epoch(rows)
            # A position says nothing if the tables have come into another order.
            moved = checkpoint.compared is not None and checkpoint.tables != self._tables
            if moved or not set(self._tables) <= set(checkpoint.tables):
                again = replace(checkpoint, tables=self._tables, comparing=True, compared=None, first=False)
                return self._move(rows, again)
            return checkpoint

    def is_still(self, expected: Checkpoint) -> bool:
        """Whether the stored checkpoint is the expected one. Of the two sides, the first is written first."""
        row = self._sides[0].row(CURSORS, self._pair)
        if row is None or row["cursors"]["unsettled"]:
            return False
        return (row["epoch"], row["version"]) == (expected.epoch, expected.round)

    def begin_epoch(self) -> Checkpoint:
        """Begin a new epoch, because nothing that was agreed on before is certain."""
        with self._lock:
            return self._begin_epoch(self.rows())

    def rows(self) -> tuple[Row | None, Row | None]:
        """The stored rows of both sides. :raises UnreadableRecord: for a row of another version of the application."""
        first, second = self._sides
        return first.row(CURSORS, self._pair), second.row(CURSORS, self._pair)

    def advance(
        self,
        expected: Checkpoint,
        cursors: Mapping[SideName, str],
        *,
        comparing: bool = False,
        compared: tuple[str, str] | None = None,
    ) -> Checkpoint:
        """Move the checkpoint.

        :param comparing: whether all records have to be compared.
        :param compared: the last one that was.
        :raises Conflict: if the stored checkpoint is not the expected one.
        """
        with self._lock:
            rows = self.rows()
            if agreed(*rows) != expected:
                raise Conflict("another process has moved the checkpoint of this sync")
            moved = replace(expected, cursors=cursors, tables=self._tables, comparing=comparing, compared=compared)
            return self._move(rows, replace(moved, first=expected.first and compared is not None))

    def ends(self) -> dict[SideName, str]:
        """The current end of each feed."""
        return {side.name: side.changes(None, 1).cursor for side in self._sides}

    def _begin_epoch(self, rows: tuple[Row | None, Row | None]) -> Checkpoint:
        # The cursors are read before the comparison, so that no change is missed in between.
        last = max((row["version"] for row in rows if row), default=0)
        return self._move(rows, Checkpoint(new_epoch(), last, self.ends(), self._tables, comparing=True, first=True))

    def _move(self, rows: tuple[Row | None, Row | None], checkpoint: Checkpoint) -> Checkpoint:
        first, second = self._sides
        moved = replace(checkpoint, round=checkpoint.round + 1)
        unsettled, settled = (moved.as_row(self._pair, unsettled=flag) for flag in (True, False))
        first.replace(CURSORS, rows[0], unsettled)
        second.replace(CURSORS, rows[1], settled)
        first.replace(CURSORS, unsettled, settled)
        return moved


def agreed(first: Row | None, second: Row | None) -> Checkpoint | None:
    """The checkpoint that both sides' rows agree on; None if they contradict each other."""
    if first is None or second is None or first["epoch"] != second["epoch"]:
        return None
    # The first side may be one round ahead, if the process crashed before writing the second.
    ahead = 1 if first["cursors"]["unsettled"] else 0
    if first["version"] - second["version"] not in {0, ahead}:
        return None
    place = second["cursors"]
    compared = place.get("compared")
    return Checkpoint(
        second["epoch"],
        second["version"],
        _cursors(place),
        tuple(place["tables"]),
        place["comparing"],
        tuple(compared) if compared else None,
        place.get("in_first_comparison", False),
    )


def _cursors(place: Mapping[str, Any]) -> dict[SideName, str]:
    return {side: place[side] if side in place else place[_FORMER[side]] for side in SIDES}
