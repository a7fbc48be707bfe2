"""The three-way merge of one record: decides the next action from both sides' rows and the base, their last agreed row.

Every action is one transaction on one side, which writes the row together with the base. The newer one of the two
sides' bases is valid, so that a crash between two actions does no harm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field
from typing import Final
from typing import Literal
from typing import NamedTuple

from database.core.errors import UnreadableRecord
from database.core.immutable import immutable
from database.core.result import Row

SideName = Literal["first", "second"]

SIDES: Final[tuple[SideName, SideName]] = ("first", "second")


class RecordKey(NamedTuple):
    """Identifies a record."""

    table: str
    id: str


@immutable
class Base:
    """The row that both sides agreed on.

    :ivar generation: the number of the agreement, counted from 1 for each record.
    :ivar text: the row as canonical text; None if they agreed that there is no row.
    """

    generation: int
    text: str | None


def newest_base(first: Base | None, second: Base | None) -> Base | None:
    """The last agreed row, of the bases of both sides; None if it is not known."""
    if first is None or second is None:
        return first or second
    if first.generation != second.generation:
        return first if first.generation > second.generation else second
    # Two different bases of one generation: two processes synced at once, and neither saw the other's base.
    return first if first == second else None


def next_generation(first: Base | None, second: Base | None) -> int:
    """The generation of the base that follows those of both sides."""
    return 1 + max(first.generation if first else 0, second.generation if second else 0)


@immutable
class SideState:
    """The state of a record on one side.

    :ivar row: the row; None if there is none.
    :ivar text: the row as canonical text.
    :ivar base: the base stored on this side; None if there is none of the current epoch.
    :ivar fault: why the row or the base cannot be read; the other fields are then meaningless: a missing row, too, does
        not mean that it was deleted.
    """

    row: Row | None
    text: str | None
    base: Base | None
    fault: UnreadableRecord | None = field(default=None, compare=False)

    def same_as(self, other: SideState) -> bool:
        """Whether row and base are unchanged."""
        return self.fault is None and self.text == other.text and self.base == other.base


@immutable
class RecordState:
    """The state of a record on both sides."""

    key: RecordKey
    first: SideState
    second: SideState

    def of(self, side: SideName) -> SideState:
        """The state on one side."""
        return self.first if side == "first" else self.second

    def newest_base(self) -> Base | None:
        """The last agreed row; None if it is not known."""
        return newest_base(self.first.base, self.second.base)

    def changed_since_their_own(self) -> list[SideName]:
        """For two different bases of one generation: the sides whose row differs from their own base.

        Both bases were agreed on, one after the other, so a side whose row equals its own base has not changed since.
        """
        if self.first.base is None or self.second.base is None or self.newest_base() is not None:
            return []
        return [side for side in SIDES if (state := self.of(side)).base is not None and state.text != state.base.text]

    def next_generation(self) -> int:
        """The generation of the next base."""
        return next_generation(self.first.base, self.second.base)


@immutable
class Resolution:
    """The resolution of a conflict.

    :ivar row: the row for both sides; None for no row.
    :ivar text: the row as canonical text.
    """

    rule: str
    row: Row | None
    text: str | None


@immutable
class ResolvedConflict:
    """A conflict and its resolution, for the journal."""

    state: RecordState
    resolution: Resolution


@immutable
class MergeAction:
    """A write to one record on one side, in one transaction.

    :ivar expected: the state that the record must still have on that side.
    :ivar row: the new row; None for no row.
    :ivar writes: whether the row is written or deleted; otherwise only the base is.
    :ivar base: the side's new base; None to delete it.
    :ivar more: whether another action follows for this record.
    """

    side: SideName
    key: RecordKey
    expected: SideState
    row: Row | None
    writes: bool
    base: Base | None
    conflict: ResolvedConflict | None = None
    more: bool = False

    @property
    def deletes(self) -> bool:
        return self.writes and self.row is None


Resolve = Callable[[RecordState], Resolution]
"""Resolves a conflict. :raises RequestError: if it cannot."""

NextAction = Callable[[RecordState], MergeAction | None]
"""The next action for a record; None if nothing is left to do."""


def next_action(state: RecordState, resolve: Resolve) -> MergeAction | None:
    """Decide the next action: a change of one side is copied to the other, a conflict is resolved."""
    if state.first.text == state.second.text:
        return _agree(state)
    changed = changed_sides(state)
    if len(changed) == 1:
        return _copy(state, changed[0])
    return resolved(state, resolve(state))


def changed_sides(state: RecordState) -> list[SideName]:
    """The sides whose row has changed since both agreed; none if the rows are equal."""
    first, second = state.first.text, state.second.text
    if first == second:
        return []
    base = state.newest_base()
    if base is not None:
        if base.text in (first, second):
            return ["second" if first == base.text else "first"]
        return list(SIDES)
    if len(own := state.changed_since_their_own()) == 1:
        return own
    # Without a base, a missing row does not count as a deletion: the side may never have had the row.
    return [side for side in SIDES if state.of(side).text is not None]


def next_forced_action(state: RecordState, target: SideName) -> MergeAction | None:
    """Decide the next action to make ``target`` equal to the other side; a lost change is written to the journal.

    If the other side has no row and is not known to have had one, nothing is done.
    """
    if state.first.text == state.second.text:
        return _agree(state)
    source = state.of(other(target))
    base = state.newest_base()
    if base is None and source.row is None:
        return None
    if base is not None and state.of(target).text == base.text:
        return _copy(state, other(target))
    if state.of(target).row is None and base is None:
        return _copy(state, other(target))
    return resolved(state, Resolution("forced", source.row, source.text))


def next_restoring_action(follow: NextAction) -> NextAction:
    """Decide as ``follow``, but write a record again that only one side has; a lost agreement is in the journal.

    For records that no change in a feed explains: a side that has lost them has not deleted them.
    """

    def decide(state: RecordState) -> MergeAction | None:
        present = [side for side in SIDES if state.of(side).text is not None]
        if len(present) != 1:
            return follow(state)
        return next_forced_action(state, other(present[0]))

    return decide


def other(side: SideName) -> SideName:
    """The opposite side."""
    return "second" if side == "first" else "first"


def _agree(state: RecordState) -> MergeAction | None:
    """Store the base if both sides have equal rows; delete it if neither side has a row."""
    text = state.first.text
    if text is None:
        return _forget(state)
    base = state.newest_base()
    if base is not None and base.text == text:
        return None
    present = state.first
    return MergeAction("first", state.key, present, present.row, writes=False, base=Base(state.next_generation(), text))


def _forget(state: RecordState) -> MergeAction | None:
    """Delete the bases, the older one first: alone, the older one would be taken for the last agreed row."""
    based = [(held.base.generation, side) for side in SIDES if (held := state.of(side)).base is not None]
    if not based:
        return None
    _, side = min(based)
    return MergeAction(side, state.key, state.of(side), None, writes=False, base=None, more=len(based) > 1)


def _copy(state: RecordState, source: SideName) -> MergeAction:
    """Copy the row of ``source``, or its deletion, to the other side."""
    given, present = (state.first, state.second) if source == "first" else (state.second, state.first)
    target, row = other(source), given.row
    if row is None and given.base is None:
        return MergeAction(target, state.key, present, None, writes=True, base=None)
    base = Base(state.next_generation(), given.text)
    return MergeAction(target, state.key, present, row, writes=True, base=base, more=row is None)


def resolved(state: RecordState, resolution: Resolution, first: SideName = "first") -> MergeAction:
    """Write the result on a side with a different row; if both differ, the next action copies it to the other side.

    :param first: the side that is written if both differ.

    The base becomes the other side's row, so that only the result counts as a change afterwards.
    """
    side = next(side for side in (first, other(first)) if state.of(side).text != resolution.text)
    against = state.of(other(side)).text
    return MergeAction(
        side,
        state.key,
        state.of(side),
        resolution.row,
        writes=True,
        base=Base(state.next_generation(), against),
        conflict=ResolvedConflict(state, resolution),
        more=resolution.row is None or against != resolution.text,
    )
