"""Looks again at records that seemed to differ: one whose change sync has not carried over yet is no difference."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from typing import Final

from database.changes.feed import MAX_PAGE
from database.core.clock import Clock
from database.core.clock import monotonic
from database.sync.audit.findings import Difference
from database.sync.checkpoint import Checkpoints
from database.sync.checkpoint import agreed
from database.sync.side import Pair
from database.sync.side import Side
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState

Pause = Callable[[float], object]

_PAUSE: Final = 0.25
"""Seconds between two looks at a record in flight."""


class SecondLook:
    """Decides which records differ while nothing is in flight.

    :param patience: seconds to wait for changes that sync has not carried over yet.
    :param pause: waits that many seconds.
    """

    def __init__(
        self, pair: Pair, checkpoints: Checkpoints, patience: float, pause: Pause, clock: Clock = monotonic
    ) -> None:
        self._pair = pair
        self._checkpoints = checkpoints
        self._patience = patience
        self._pause = pause
        self._clock = clock

    def at(self, keys: Collection[RecordKey]) -> tuple[list[Difference], list[RecordKey]]:
        """Look at these records again. :returns: the differences, and the records that are still in flight."""
        until = self._clock() + self._patience
        doubtful = self._differing(keys)
        found: list[Difference] = []
        while doubtful:
            waiting = self._waiting(doubtful)
            again = self._differing(doubtful)
            # A change made since the first look is in a feed, or was carried over: the states are then others.
            sure = [key for key, state in again.items() if key not in waiting and _same(state, doubtful[key])]
            found += [one for key in sure if (one := Difference.of(again.pop(key))) is not None]
            doubtful = again
            if not doubtful or self._clock() >= until:
                break
            self._pause(_PAUSE)
        return found, list(doubtful)

    def _differing(self, keys: Collection[RecordKey]) -> dict[RecordKey, RecordState]:
        first, second = (side.states(keys, "") for side in self._pair.sides)
        states = (RecordState(key, first[key], second[key]) for key in keys)
        return {state.key: state for state in states if Difference.of(state) is not None}

    def _waiting(self, keys: Collection[RecordKey]) -> set[RecordKey]:
        """Those of the records whose changes the next cycle of sync reads; of internal tables it compares all."""
        schema = self._pair.sides[0].adapter.schema
        unlogged = {key for key in keys if schema.table(key.table).internal}
        checkpoint = agreed(*self._checkpoints.rows())
        if checkpoint is None:
            return unlogged
        return unlogged | {
            key for side in self._pair.sides for key in _changed(side, checkpoint.cursors[side.name]) if key in keys
        }


def _changed(side: Side, cursor: str) -> Iterator[RecordKey]:
    """The records that a feed has after a cursor, up to its present end."""
    more = True
    while more:
        page = side.changes(cursor, MAX_PAGE)
        yield from (RecordKey(change.table, change.id) for change in page.changes)
        cursor, more = page.cursor, page.more


def _same(state: RecordState, before: RecordState) -> bool:
    """Whether a record has not changed on either side."""
    return state.first.text == before.first.text and state.second.text == before.second.text
