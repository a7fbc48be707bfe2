"""The three-way merge of one record: what to do next, from what both sides hold and what they last agreed on.

Every action is one transaction on one side. It changes the row, and with it the base: the row that both sides agree on.
Of the two sides' bases the newer one counts, so that a crash between two actions leaves nothing half done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Final
from typing import Literal
from typing import NamedTuple

from database.core.errors import UnreadableRecord
from database.core.result import Row

SideName = Literal["first", "second"]

SIDES: Final[tuple[SideName, SideName]] = ("first", "second")


class RecordKey(NamedTuple):
    """A record of a table."""

    table: str
    id: str


@dataclass(frozen=True, slots=True)
class Base:
    """What both sides agreed on.

    :ivar generation: counts the record's agreements, from 1.
    :ivar text: of the row; None if they agreed that there is none.
    """

    generation: int
    text: str | None


@dataclass(frozen=True, slots=True)
class SideState:
    """What one side holds of a record.

    :ivar row: None if there is none.
    :ivar text: of the row.
    :ivar base: this side's; None if it has none of the present epoch.
    :ivar fault: why the row, or the base, cannot be read; the other fields then mean nothing, not even that the row
        is gone.
    """

    row: Row | None
    text: str | None
    base: Base | None
    fault: UnreadableRecord | None = field(default=None, compare=False)

    def same_as(self, other: SideState) -> bool:
        """Whether nothing has changed."""
        return self.fault is None and self.text == other.text and self.base == other.base


@dataclass(frozen=True, slots=True)
class RecordState:
    """What both sides hold of a record."""

    key: RecordKey
    first: SideState
    second: SideState

    def of(self, side: SideName) -> SideState:
        """One side's."""
        return self.first if side == "first" else self.second

    def newest_base(self) -> Base | None:
        """What the sides agreed on last; None if that is not known."""
        bases = [state.base for state in (self.first, self.second) if state.base is not None]
        latest = max((base.generation for base in bases), default=0)
        candidates = {base for base in bases if base.generation == latest}
        # Two of the same generation: two processes were at work at once, and neither saw the other's.
        return candidates.pop() if len(candidates) == 1 else None

    def changed_since_their_own(self) -> list[SideName]:
        """Of two bases of one generation that differ: the sides whose row differs from their own base.

        Both bases have been agreed on, one after the other, so a side that still holds its own was not changed since.
        """
        bases = [self.of(side).base for side in SIDES]
        if None in bases or self.newest_base() is not None:
            return []
        return [side for side in SIDES if (state := self.of(side)).base is not None and state.text != state.base.text]

    def next_generation(self) -> int:
        """The number of the next agreement."""
        return 1 + max((state.base.generation for state in (self.first, self.second) if state.base), default=0)


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a conflict is resolved.

    :ivar row: what both sides are to have; None for no row.
    :ivar text: of the row.
    """

    rule: str
    row: Row | None
    text: str | None


@dataclass(frozen=True, slots=True)
class ResolvedConflict:
    """A conflict and its resolution, for the journal."""

    state: RecordState
    resolution: Resolution


@dataclass(frozen=True, slots=True)
class MergeAction:
    """One transaction's work on one record.

    :ivar expected: what the side must still hold.
    :ivar row: the new row; None for none.
    :ivar writes: whether the row is written or deleted, and not the base alone.
    :ivar base: the side's new base; None to forget it.
    :ivar more: whether another action follows.
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
    """What comes next for a record: a change of one side is copied to the other, a conflict is resolved."""
    if state.first.text == state.second.text:
        return _agree(state)
    base = state.newest_base()
    changed = [side for side in SIDES if base is None or state.of(side).text != base.text]
    if len(own := state.changed_since_their_own()) == 1:
        changed = own
    elif base is None:
        # A side that has no row may never have had it: without a base, nothing shows that it was deleted there.
        changed = [side for side in SIDES if state.of(side).text is not None]
    if len(changed) == 1:
        return _copy(state, changed[0])
    return _resolved(state, resolve(state))


def next_forced_action(state: RecordState, target: SideName) -> MergeAction | None:
    """Have ``target`` hold what the other side holds, whatever it holds now; what is lost goes into the journal.

    If the other side has no row and never had one, nothing is done.
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
    return _resolved(state, Resolution("forced", source.row, source.text))


def other(side: SideName) -> SideName:
    """The opposite side."""
    return "second" if side == "first" else "first"


def _agree(state: RecordState) -> MergeAction | None:
    """Remember that both sides hold the same; forget a record that neither has."""
    text = state.first.text
    if text is None:
        return _forget(state)
    base = state.newest_base()
    if base is not None and base.text == text:
        return None
    present = state.first
    return MergeAction("first", state.key, present, present.row, writes=False, base=Base(state.next_generation(), text))


def _forget(state: RecordState) -> MergeAction | None:
    """Forget the older base first: alone it would say what is no longer so."""
    based = [(held.base.generation, side) for side in SIDES if (held := state.of(side)).base is not None]
    if not based:
        return None
    _, side = min(based)
    return MergeAction(side, state.key, state.of(side), None, writes=False, base=None, more=len(based) > 1)


def _copy(state: RecordState, source: SideName) -> MergeAction:
    """Have the other side hold what ``source`` holds."""
    given, present = state.of(source), state.of(other(source))
    if given.row is None and given.base is None:
        return MergeAction(other(source), state.key, present, None, writes=True, base=None)
    base = Base(state.next_generation(), given.text)
    return MergeAction(other(source), state.key, present, given.row, writes=True, base=base, more=given.row is None)


def _resolved(state: RecordState, resolution: Resolution) -> MergeAction:
    """Write the result on the side that has another one; if both have, on one, as a change to be copied then.

    The base becomes what the other side holds, which is what the result was made with.
    """
    side = next(side for side in SIDES if state.of(side).text != resolution.text)
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
