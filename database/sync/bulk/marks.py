"""Marks by which a side is recognised that was restored from a backup after the other one was written from it.

Before sync writes on one side what it has read on the other, it counts the reads of that other side, and stores the
count there; with what it writes, it stores the same number. So if a side has counted fewer reads than the other one was
written from, what it said then was undone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple
from typing import Protocol

from database.adapter.base import DatabaseAdapter
from database.core.errors import Conflict


class Marks(NamedTuple):
    """The marks that one side stores.

    :ivar reads: how many reads of this side were counted.
    :ivar written_from: the number of the last read of the other side from which this one was written.
    """

    reads: int = 0
    written_from: int = 0


class Restored(Conflict):
    """A side was restored from a backup; nothing that was agreed on before is certain."""


class Marked(Protocol):
    """A side with marks."""

    @property
    def adapter(self) -> DatabaseAdapter:
        """Its database."""

    @property
    def marks(self) -> Marks:
        """As they were read last."""

    def read_marks(self, epoch: str) -> Marks:
        """Read the marks now."""


def seemingly_restored(sides: Sequence[Marked]) -> list[Marked]:
    """The sides that were restored, or read at another moment than the other one."""
    return [side for side, other in (sides, reversed(sides)) if side.marks.reads < other.marks.written_from]


def require_not_restored(sides: Sequence[Marked], epoch: str) -> None:
    """Compare the marks of both sides. :raises Restored: if one of them was restored from a backup."""
    for side in seemingly_restored(sides):
        (other,) = [one for one in sides if one is not side]
        # Read once more, because another process may have written both sides between the two reads.
        if side.read_marks(epoch).reads < other.marks.written_from:
            raise Restored(
                "the database was restored from a backup since it was synced last; the next cycle of sync compares all"
                " records of both sides",
                backend=side.adapter.name,
            )
