"""Random work on both sides, with cycles, crashes and restarts in between: nothing is lost, and both become equal.

Bulk steps are of two records at most, so that a comparison of all takes several, and its position is stored after each.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import initialize
from hypothesis.stateful import rule

from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.result import Row
from database.sync import SyncManager
from database.sync.strategies import NAMES
from tests.integration.sync.support import Killed
from tests.integration.sync.support import MortalMemory
from tests.integration.sync.support import contents
from tests.integration.sync.support import lost_rows

SIDES = ("supabase", "convex")
RECORDS = ("a", "b", "c")

sides = st.sampled_from(SIDES)
records = st.sampled_from(RECORDS)


def merged(table: str, record_id: str, supabase: Row | None, convex: Row | None) -> Mapping[str, Any] | None:
    """Both names; a deletion wins."""
    if supabase is None or convex is None:
        return None
    return {**supabase, "name": "+".join(sorted({*supabase["name"].split("+"), *convex["name"].split("+")}))}


class Histories(RuleBasedStateMachine):
    """Every version that a user writes has a name of its own, and is known with the versions it was made from."""

    @initialize(strategy=st.sampled_from([*NAMES, merged]))
    def begin(self, strategy: Any) -> None:
        self.small = pytest.MonkeyPatch()
        self.small.setattr("database.sync.cycle.WINDOW", 2)
        self.small.setattr("database.sync.cycle.SAVED_AFTER", 2)
        self.small.setattr("database.sync.chunks.FIRST", 2)
        self.strategy = strategy
        self.tables = ["molecules"]
        self.adapters = {name: MortalMemory(name=name) for name in SIDES}
        self.names = (f"v{number}" for number in count())
        self.ancestors: dict[str, set[str]] = {}
        self.deleted: dict[str, set[str]] = {record: set() for record in RECORDS}
        self.edits: dict[str, list[tuple[str, str | None]]] = {record: [] for record in RECORDS}
        self.restart()

    @rule(side=sides, record=records)
    def write(self, side: str, record: str) -> None:
        """A user inserts the record or changes it."""
        adapter, name = self.adapters[side], next(self.names)
        seen = adapter.get("molecules", record)
        if seen is None:
            adapter.run(Insert("molecules", [{"id": record, "name": name}]))
            self.ancestors[name] = {name, *self.deleted[record]}
        else:
            adapter.run(Update("molecules", {"name": name}, id=record))
            self.ancestors[name] = {name, *self.ancestry(seen)}
        self.edits[record].append((side, name))

    @rule(side=sides, record=records)
    def delete(self, side: str, record: str) -> None:
        """A user deletes the record, if it is there."""
        adapter = self.adapters[side]
        if (seen := adapter.get("molecules", record)) is not None:
            adapter.run(Delete("molecules", id=record))
            self.deleted[record] |= self.ancestry(seen)
            self.edits[record].append((side, None))

    @rule()
    def restart(self) -> None:
        supabase, convex = self.adapters.values()
        self.manager = SyncManager(supabase, convex, 1, self.tables, self.strategy)

    @rule()
    def compare(self) -> None:
        """A table less or more; if it is one more, all records are compared."""
        self.tables = ["molecules", "protocols"] if len(self.tables) == 1 else ["molecules"]
        self.restart()

    @rule(supabase=st.integers(0, 5), convex=st.integers(0, 5))
    def crash(self, supabase: int, convex: int) -> None:
        """A cycle in a process that is killed before one of its writes, unless it has fewer."""
        for adapter, life in zip(self.adapters.values(), (supabase, convex), strict=True):
            adapter.backend.life = life
        with suppress(Killed):
            self.manager.sync_all()
        for adapter in self.adapters.values():
            adapter.backend.life = None
        self.restart()

    @rule(at=sides, side=sides, record=records, deletes=st.booleans())
    def interrupt(self, at: str, side: str, record: str, deletes: bool) -> None:
        """A cycle in which a user does something between its look at a record and its write."""
        work = self.delete if deletes else self.write
        self.adapters[at].backend.interruption = lambda: work(side=side, record=record)
        assert self.manager.sync_all()
        self.adapters[at].backend.interruption = None

    @rule()
    def sync(self) -> None:
        """A cycle brings both sides together; another one has nothing to do."""
        assert self.manager.sync_all()
        assert contents(self.adapters["supabase"]) == contents(self.adapters["convex"])
        self.check_edits()
        writes = [adapter.backend.writes for adapter in self.adapters.values()]
        assert self.manager.sync_all()
        assert [adapter.backend.writes for adapter in self.adapters.values()] == writes

    def teardown(self) -> None:
        if hasattr(self, "manager"):
            self.sync()
            self.small.undo()

    def ancestry(self, row: Row) -> set[str]:
        """The versions that whoever changes this row has seen the outcome of."""
        return set().union(*(self.ancestors[name] for name in row["name"].split("+")))

    def check_edits(self) -> None:
        journalled = set().union(*(self.ancestry(row) for row in lost_rows(*self.adapters.values())))
        for record, edits in self.edits.items():
            row = self.adapters["supabase"].get("molecules", record)
            kept = self.deleted[record] | (set() if row is None else self.ancestry(row))
            assert {name for _, name in edits if name is not None} <= kept | journalled, "a version is lost"
            if len({side for side, _ in edits}) == 1:
                assert (None if row is None else row["name"]) == edits[-1][1], "an edit without a rival is lost"
            edits.clear()


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
