"""What two sides become does not depend on whose steps come first, as long as nobody has seen the others' steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.backends.memory import kept_rows
from database.backends.memory import tables
from database.core.operations import Delete
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.result import Row
from database.sync import SyncManager
from tests.integration.sync.histories.databases import FEED_MODES
from tests.integration.sync.histories.databases import FeedMode
from tests.integration.sync.histories.databases import UnrulyMemory

Step = tuple[str, str, str | None]
"""The record, the column, and the new value; None deletes the record."""

steps = st.tuples(
    st.sampled_from(["a", "b", "c"]), st.sampled_from(["name", "formula"]), st.none() | st.sampled_from(["x", "y", "z"])
)
Timed = tuple[int, Step]
timed = st.lists(st.tuples(st.integers(0, 9), steps), max_size=6).map(lambda some: sorted(some, key=lambda one: one[0]))


class Sides:
    """Two databases, of which one or the other is the first.

    :ivar now: the time of both.
    """

    def __init__(self, patch: pytest.MonkeyPatch, *, swapped: bool, feed: FeedMode) -> None:
        self.adapters = {name: UnrulyMemory(name) for name in ("here", "there")}
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self._order = [*self.adapters.values()][:: -1 if swapped else 1]
        for adapter in self.adapters.values():
            adapter.backend.feed = feed
        for module in (tables, kept_rows):
            patch.setattr(module, "utc_now", lambda: self.now)

    def work(self, side: str, second: int, step: Step) -> None:
        """Have a user do something at some time."""
        adapter, (record, column, value) = self.adapters[side], step
        self.now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
        if value is None:
            adapter.run(Delete("molecules", record))
        elif adapter.get("molecules", record) is None:
            adapter.run(Upsert("molecules", [{"id": record, "name": value}]))
        else:
            adapter.run(Update("molecules", {column: value}, record))

    def sync(self, strategy: str) -> list[Row]:
        """Keep them equal. :returns: what both hold then."""
        first, second = self._order
        manager = SyncManager(first, second, sync_tables=["molecules"], conflict_resolution=strategy)
        assert manager.sync_all(), manager.get_sync_status()
        here, there = (adapter.run(Select("molecules")).rows for adapter in self.adapters.values())
        assert here == there
        return here


@dataclass(frozen=True, slots=True)
class History:
    """What users do: together, then on each side on its own, at some seconds."""

    agreed: Sequence[Timed]
    here: Sequence[Timed]
    there: Sequence[Timed]

    def result(self, strategy: str, sides: Sides, here_first: Iterator[bool]) -> list[Row]:
        """What the sides become.

        :param here_first: on which side the next step is made, if both have one left.
        """
        for second, step in self.agreed:
            sides.work("here", second, step)
        sides.sync(strategy)
        here, there = deque(self.here), deque(self.there)
        while here or there:
            is_here = bool(here) and (not there or next(here_first))
            second, step = (here if is_here else there).popleft()
            sides.work("here" if is_here else "there", 100 + second, step)
        return sides.sync(strategy)


@settings(max_examples=30, deadline=None)
@given(
    strategy=st.sampled_from(["last_modified", "merge"]),
    history=st.builds(History, timed, timed, timed),
    order=st.lists(st.booleans(), min_size=12, max_size=12),
    swapped=st.booleans(),
    feed=st.sampled_from(FEED_MODES),
)
def test_the_result_does_not_depend_on_the_order_of_the_steps(
    strategy: str, history: History, order: Sequence[bool], swapped: bool, feed: FeedMode
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        one = history.result(strategy, Sides(patch, swapped=False, feed="in order"), repeat(True))
        other = history.result(strategy, Sides(patch, swapped=swapped, feed=feed), iter(order))
    assert one == other
