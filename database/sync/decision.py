"""What is to be done about one record, from what both sides hold of it and what they had agreed on.

Every step is one transaction on one side. It changes the row, and with it the base: what the sides now agree on.
Of the two sides' bases the newer one counts, so that a crash between two steps leaves nothing half done.
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

SideName = Literal["supabase", "convex"]

SIDES: Final[tuple[SideName, SideName]] = ("supabase", "convex")


class Key(NamedTuple):
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
class Held:
    """What one side holds of a record.

    :ivar row: None if there is none.
    :ivar text: of the row.
    :ivar base: this side's; None if it has none of this session.
    :ivar fault: why the row, or the base, cannot be read; it says nothing of the record then, not even that it is gone.
    """

    row: Row | None
    text: str | None
    base: Base | None
    fault: UnreadableRecord | None = field(default=None, compare=False)

    def same_as(self, other: Held) -> bool:
        """Whether nothing has changed."""
        return self.fault is None and self.text == other.text and self.base == other.base


NOTHING: Final = Held(None, None, None)


@dataclass(frozen=True, slots=True)
class View:
    """What both sides hold of a record."""

    key: Key
    supabase: Held
    convex: Held

    def of(self, side: SideName) -> Held:
        """One side's."""
        return self.supabase if side == "supabase" else self.convex

    def newest_base(self) -> Base | None:
        """What the sides agreed on last; None if that is not known."""
        known = [held.base for held in (self.supabase, self.convex) if held.base is not None]
        latest = max((base.generation for base in known), default=0)
        candidates = {base for base in known if base.generation == latest}
        # Two of the same generation: two processes were at work at once, and neither saw the other's.
        return candidates.pop() if len(candidates) == 1 else None

    def changed_since_their_own(self) -> list[SideName]:
        """Of two bases of one generation that differ: the sides that hold something else than their own one tells.

        Both have been agreed on, one after the other, so that a side which still holds its own was not changed since.
        """
        bases = [self.of(side).base for side in SIDES]
        if None in bases or self.newest_base() is not None:
            return []
        return [side for side in SIDES if (held := self.of(side)).base is not None and held.text != held.base.text]

    def next_generation(self) -> int:
        """The number of the next agreement."""
        return 1 + max((held.base.generation for held in (self.supabase, self.convex) if held.base), default=0)


@dataclass(frozen=True, slots=True)
class Resolution:
    """How a conflict is settled.

    :ivar row: what both sides are to have; None for no row.
    :ivar text: of the row.
    """

    rule: str
    row: Row | None
    text: str | None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A settled conflict, for the journal."""

    view: View
    resolution: Resolution


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction's work on one record.

    :ivar found: what the side has to hold still.
    :ivar row: the new row; None for none.
    :ivar writes: whether the row is written or deleted, and not the base alone.
    :ivar base: the side's new base; None to forget it.
    :ivar more: whether another step follows.
    """

    side: SideName
    key: Key
    found: Held
    row: Row | None
    writes: bool
    base: Base | None
    conflict: Conflict | None = None
    more: bool = False

    @property
    def deletes(self) -> bool:
        return self.writes and self.row is None


Resolve = Callable[[View], Resolution]
"""Settles a conflict. :raises RequestError: if it cannot be settled."""

Decide = Callable[[View], Step | None]
"""The next step for a record; None if nothing is left to do."""


def decide(view: View, resolve: Resolve) -> Step | None:
    """What comes next for a record: a change on one side is copied to the other, a conflict is settled."""
    if view.supabase.text == view.convex.text:
        return _agree(view)
    base = view.newest_base()
    changed = [side for side in SIDES if base is None or view.of(side).text != base.text]
    if len(own := view.changed_since_their_own()) == 1:
        changed = own
    elif base is None:
        # A side that has no row may never have had it; nothing tells that it was deleted there.
        changed = [side for side in SIDES if view.of(side).text is not None]
    if len(changed) == 1:
        return _copy(view, changed[0])
    return _settle(view, resolve(view))


def decide_for(view: View, target: SideName) -> Step | None:
    """Have ``target`` hold what the other side holds, whatever it holds now; what is lost goes into the journal.

    If the other side has no row and never had, nothing is done.
    """
    if view.supabase.text == view.convex.text:
        return _agree(view)
    source = view.of(other(target))
    base = view.newest_base()
    if base is None and source.row is None:
        return None
    if base is not None and view.of(target).text == base.text:
        return _copy(view, other(target))
    if view.of(target).row is None and base is None:
        return _copy(view, other(target))
    return _settle(view, Resolution("forced", source.row, source.text))


def other(side: SideName) -> SideName:
    """The opposite side."""
    return "convex" if side == "supabase" else "supabase"


def _agree(view: View) -> Step | None:
    """Remember that both sides hold the same; forget a record that neither has."""
    text = view.supabase.text
    if text is None:
        return _forget(view)
    base = view.newest_base()
    if base is not None and base.text == text:
        return None
    found = view.supabase
    return Step("supabase", view.key, found, found.row, writes=False, base=Base(view.next_generation(), text))


def _forget(view: View) -> Step | None:
    """Forget the older base first: alone it would tell what is no longer so."""
    based = [(held.base.generation, side) for side in SIDES if (held := view.of(side)).base is not None]
    if not based:
        return None
    _, side = min(based)
    return Step(side, view.key, view.of(side), None, writes=False, base=None, more=len(based) > 1)


def _copy(view: View, source: SideName) -> Step:
    """Have the other side hold what ``source`` holds."""
    given, target = view.of(source), view.of(other(source))
    if given.row is None and given.base is None:
        return Step(other(source), view.key, target, None, writes=True, base=None)
    base = Base(view.next_generation(), given.text)
    return Step(other(source), view.key, target, given.row, writes=True, base=base, more=given.row is None)


def _settle(view: View, resolution: Resolution) -> Step:
    """Write the result on the side that has another one; if both have, on one, as a change to be copied then.

    The base becomes what the other side holds, which is what the result was made with.
    """
    side = next(side for side in SIDES if view.of(side).text != resolution.text)
    against = view.of(other(side)).text
    return Step(
        side,
        view.key,
        view.of(side),
        resolution.row,
        writes=True,
        base=Base(view.next_generation(), against),
        conflict=Conflict(view, resolution),
        more=resolution.row is None or against != resolution.text,
    )
