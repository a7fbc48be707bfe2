"""Random work on both sides, with cycles, crashes and restarts in between: nothing is lost, and both become equal.

Bulk steps are of two records at most, so that a comparison of all takes several, and its position is stored after each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from itertools import count
from itertools import cycle
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import initialize
from hypothesis.stateful import rule

from config.fields import DELETE_POLICIES
from config.fields import STRATEGIES
from database.backends.memory import kept_rows
from database.backends.memory import tables
from database.core.clock import utc_now
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.query.filters import Where
from database.core.result import Row
from database.sync import SyncManager
from tests.integration.sync.support import Killed
from tests.integration.sync.support import MortalMemory
from tests.integration.sync.support import contents
from tests.integration.sync.support import lost_rows

SIDES = ("supabase", "convex")
RECORDS = ("a", "b", "c")
COLUMNS = ("name", "formula")

sides = st.sampled_from(SIDES)
records = st.sampled_from(RECORDS)
columns = st.sampled_from(COLUMNS)
decisions = st.lists(st.sampled_from(["first", "second", "both"]), min_size=1, max_size=3)


def both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The versions of both rows."""
    return {name: "+".join(sorted({*versions(first[name]), *versions(second[name])})) or None for name in COLUMNS}


def versions(value: str | None) -> list[str]:
    return value.split("+") if value else []


def merged(table: str, record_id: str, supabase: Row | None, convex: Row | None) -> Mapping[str, Any] | None:
    """Both versions; a deletion wins."""
    if supabase is None or convex is None:
        return None
    return {**supabase, **both(supabase, convex)}


class Histories(RuleBasedStateMachine):
    """Every value that a user writes has a name of its own, and is known with the values that the user has seen."""

    @initialize(strategy=st.sampled_from([*STRATEGIES, merged]), deletes=st.none() | st.sampled_from(DELETE_POLICIES))
    def begin(self, strategy: Any, deletes: str | None) -> None:
        self.options = {"conflict_resolution": strategy, "conflict_deletes": deletes}
        self.tables = ["molecules"]
        self.adapters = {name: MortalMemory(name=name) for name in SIDES}
        self.names = (f"v{number}" for number in count())
        self.ancestors: dict[str, set[str]] = {}
        self.deleted: dict[str, set[str]] = {record: set() for record in RECORDS}
        self.edits: dict[str, list[tuple[str, str, str | None]]] = {record: [] for record in RECORDS}
        self.forgotten = False
        self.skews = dict.fromkeys(SIDES, timedelta())
        self.writer = SIDES[0]
        self.patch = pytest.MonkeyPatch()
        for name in ("cycle.WINDOW", "cycle.SAVED_AFTER", "chunks.FIRST"):
            self.patch.setattr(f"database.sync.{name}", 2)
        for module in (tables, kept_rows):
            self.patch.setattr(module, "utc_now", lambda: utc_now() + self.skews[self.writer])
        self.restart()

    @rule(side=sides, record=records, column=columns)
    def write(self, side: str, record: str, column: str) -> None:
        """A user inserts the record or changes it."""
        adapter, name, self.writer = self.adapters[side], next(self.names), side
        seen = adapter.get("molecules", record)
        if seen is None:
            adapter.run(Insert("molecules", [{"id": record, "name": name}]))
            self.ancestors[name] = {name, *self.deleted[record]}
            column = "name"
        else:
            adapter.run(Update("molecules", {column: name}, id=record))
            self.ancestors[name] = {name, *self.ancestry(seen)}
        self.edits[record].append((side, column, name))

    @rule(side=sides, record=records)
    def delete(self, side: str, record: str) -> None:
        """A user deletes the record, if it is there."""
        adapter = self.adapters[side]
        if (seen := adapter.get("molecules", record)) is not None:
            adapter.run(Delete("molecules", id=record))
            self.deleted[record] |= self.ancestry(seen)
            self.edits[record].append((side, "name", None))

    @rule(side=sides, hours=st.sampled_from([-1, 0, 1]))
    def jump(self, side: str, hours: int) -> None:
        """The clock of one side is set."""
        self.skews[side] = timedelta(hours=hours)

    @rule()
    def forget(self) -> None:
        """What both sides have agreed on is lost, as after a restore."""
        self.adapters["convex"].run(Delete("isthmus_sync_cursors", where=Where("id", "neq", "")))
        self.forgotten = True

    @rule()
    def restart(self) -> None:
        supabase, convex = self.adapters.values()
        self.manager = SyncManager(supabase, convex, 1, self.tables, **self.options)

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

    @rule(at=sides, side=sides, record=records, column=columns, deletes=st.booleans())
    def interrupt(self, at: str, side: str, record: str, column: str, deletes: bool) -> None:
        """A cycle in which a user does something between its look at a record and its write."""

        def work() -> None:
            self.delete(side=side, record=record) if deletes else self.write(side=side, record=record, column=column)

        self.adapters[at].backend.interruption = work
        assert self.manager.sync_all()
        self.adapters[at].backend.interruption = None

    @rule(decided=decisions)
    def sync(self, decided: Sequence[str]) -> None:
        """A cycle brings both sides together, but for what waits for a decision; another one has nothing to do."""
        assert self.manager.sync_all()
        for waiting, decision in zip(self.manager.get_conflicts(state="open"), cycle(decided), strict=False):
            taken: Any = decision
            if decision == "both":
                taken = both(waiting.first, waiting.second) if waiting.first and waiting.second else None
            self.manager.resolve_conflict(waiting.id, taken)
        assert contents(self.adapters["supabase"]) == contents(self.adapters["convex"])
        self.check_edits()
        writes = [adapter.backend.writes for adapter in self.adapters.values()]
        assert self.manager.sync_all()
        assert [adapter.backend.writes for adapter in self.adapters.values()] == writes

    def teardown(self) -> None:
        if hasattr(self, "manager"):
            self.sync(decided=["first"])
            self.patch.undo()

    def ancestry(self, row: Row) -> set[str]:
        """The values that whoever changes this row has seen the outcome of."""
        return set().union(*(self.ancestors[one] for name in COLUMNS for one in versions(row[name])))

    def check_edits(self) -> None:
        journalled = set().union(*(self.ancestry(row) for row in lost_rows(*self.adapters.values())))
        for record, edits in self.edits.items():
            row = self.adapters["supabase"].get("molecules", record)
            kept = self.deleted[record] | (set() if row is None else self.ancestry(row))
            assert {name for *_, name in edits if name is not None} <= kept | journalled, "a version is lost"
            if len({side for side, *_ in edits}) == 1 and not (self.forgotten and self.needs_base(edits)):
                _, column, last = edits[-1]
                assert (None if row is None else row[column]) == last, "an edit without a rival is lost"
            edits.clear()
        self.forgotten = False

    def needs_base(self, edits: Sequence[tuple[str, str, str | None]]) -> bool:
        """Whether only the agreed row says that these edits are the later ones; otherwise their times do."""
        timed = self.options["conflict_resolution"] in {"last_modified", "merge"}
        return not timed or any(last is None for *_, last in edits)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=int(os.environ.get("SYNC_HISTORIES", "500")), stateful_step_count=30, deadline=None
)
