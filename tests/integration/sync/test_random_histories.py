"""Random work on both sides, with cycles and faults in between: nothing is lost, and both become equal.

The faults are crashes, lines that are cut, feeds out of order, clocks that are set, and sides that are restored. Bulk
steps are of two records at most, so that a comparison of all takes several, and its position is stored after each.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
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
from hypothesis.stateful import precondition
from hypothesis.stateful import rule

from config.fields import DELETE_POLICIES
from config.fields import STRATEGIES
from database.backends.memory import kept_rows
from database.backends.memory import tables
from database.core.clock import utc_now
from database.core.errors import ConstraintViolated
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Select
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.result import Row
from database.sync import SyncManager
from tests.integration.sync.histories.databases import FEED_MODES
from tests.integration.sync.histories.databases import Backup
from tests.integration.sync.histories.databases import FeedMode
from tests.integration.sync.histories.databases import UnrulyMemory
from tests.integration.sync.support import Killed
from tests.integration.sync.support import journal

SIDES = ("supabase", "convex")
RECORDS = ("a", "b", "c")
COLUMNS = ("name", "formula")

sides = st.sampled_from(SIDES)
records = st.sampled_from(RECORDS)
columns = st.sampled_from(COLUMNS)
several = st.lists(records, min_size=2, unique=True)
decisions = st.lists(st.sampled_from(["first", "second", "both"]), min_size=1, max_size=3)


def both(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The versions of both rows."""
    return {name: "+".join(sorted({*versions(first[name]), *versions(second[name])})) or None for name in COLUMNS}


def versions(value: str | None) -> list[str]:
    return value.split("+") if value else []


def rows_of(entry: Row) -> list[Row]:
    """The rows of both sides in an entry of the journal."""
    return [row for row in (entry["first_row"], entry["second_row"]) if row is not None]


def merged(table: str, record_id: str, supabase: Row | None, convex: Row | None) -> Mapping[str, Any] | None:
    """Both versions; a deletion wins."""
    if supabase is None or convex is None:
        return None
    return {**supabase, **both(supabase, convex)}


class Histories(RuleBasedStateMachine):
    """Every value that a user writes has a name of its own, and is known with the values that the user has seen.

    In histories with slots, whose values are unique, each side alone works on its own ones: every exchange must arrive.
    Nothing that was agreed on is lost in these, because two sides may then give one value to different records.

    :ivar owed: the values that must be there, or in the journal.
    """

    @initialize(
        strategy=st.sampled_from([*STRATEGIES, merged]),
        deletes=st.none() | st.sampled_from(DELETE_POLICIES),
        slots=st.booleans(),
    )
    def begin(self, strategy: Any, deletes: str | None, slots: bool) -> None:
        self.options = {"conflict_resolution": strategy, "conflict_deletes": deletes}
        self.slots = slots
        self.tables = ["molecules", *(["slots"] if slots else [])]
        self.adapters = {name: UnrulyMemory(name) for name in SIDES}
        self.names = (f"v{number}" for number in count())
        self.ancestors: dict[str, set[str]] = {}
        self.deleted: dict[str, set[str]] = {record: set() for record in RECORDS}
        self.edits: dict[str, list[tuple[str, str, str | None]]] = {record: [] for record in RECORDS}
        self.owed: set[str] = set()
        self.forgotten = self.restored = False
        self.cut: dict[str, tuple[int, bool]] = {}
        self.backups: dict[str, Backup] = {}
        self.skews = dict.fromkeys(SIDES, timedelta())
        self.writer = SIDES[0]
        self.patch = pytest.MonkeyPatch()
        for name, size in {"cycle.WINDOW": 2, "cycle.SAVED_AFTER": 0, "chunks.FIRST": 2}.items():
            self.patch.setattr(f"database.sync.{name}", size)
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
        self.owed.add(name)

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

    @precondition(lambda self: self.slots)
    @rule(side=sides, record=records, value=st.integers(1, 3))
    def put(self, side: str, record: str, value: int) -> None:
        """Write a slot of the side, whose values another one may have."""
        row = {"id": f"{side} {record}", "place": 10 * SIDES.index(side) + value, "code": next(self.names)}
        with suppress(ConstraintViolated):
            self.adapters[side].run(Upsert("slots", [row]))

    @precondition(lambda self: self.slots)
    @rule(side=sides, some=several, column=st.sampled_from(["place", "code"]))
    def exchange(self, side: str, some: Sequence[str], column: str) -> None:
        """Each of some slots gets the value of the one before it; the first one may go."""
        adapter = self.adapters[side]
        rows = [row for one in some if (row := adapter.get("slots", f"{side} {one}")) is not None]
        with adapter.transaction():
            for row in rows:
                adapter.run(Update("slots", {column: None}, row["id"]))
            for place, row in enumerate(rows):
                adapter.run(Update("slots", {column: rows[place - 1][column]}, row["id"]))

    @precondition(lambda self: self.slots)
    @rule(side=sides, record=records)
    def leave(self, side: str, record: str) -> None:
        """A slot goes, and its values are free."""
        self.adapters[side].run(Delete("slots", f"{side} {record}"))

    @precondition(lambda self: not self.slots)
    @rule()
    def forget(self) -> None:
        """What both sides have agreed on is lost, as after a restore."""
        self.adapters["convex"].run(Delete("isthmus_sync_cursors", where=Where("id", "neq", "")))
        self.forgotten = True

    @precondition(lambda self: not self.slots)
    @rule(side=sides)
    def back_up(self, side: str) -> None:
        """Keep the state of a side."""
        self.backups[side] = self.adapters[side].backend.backup()

    @precondition(lambda self: self.backups)
    @rule(side=sides)
    def restore(self, side: str) -> None:
        """A side is as it was at its backup. What only it knew is lost, and what the other one knows is owed."""
        if (backup := self.backups.get(side)) is None:
            return
        gone = self.known(side)
        self.adapters[side].backend.restore(backup)
        self.owed -= gone - self.known(*SIDES)
        self.forgotten = self.restored = True

    @precondition(lambda self: not self.slots)
    @rule(side=sides, record=records, supabase=st.integers(0, 5), convex=st.integers(0, 5))
    def restore_after_a_crash(self, side: str, record: str, supabase: int, convex: int) -> None:
        """A backup of the middle of a cycle comes back, of which the other side has copied more than it has."""
        self.back_up(side)
        self.write(side, record, "name")
        self.crash(supabase, convex)
        self.restore(side)

    @rule(side=sides, calls=st.integers(0, 9), loses_replies=st.booleans())
    def part(self, side: str, calls: int, loses_replies: bool) -> None:
        """From now on a side is out of reach of every cycle after some calls."""
        self.cut[side] = calls, loses_replies

    @rule(side=sides, mode=st.sampled_from(FEED_MODES))
    def disturb(self, side: str, mode: FeedMode) -> None:
        """The entries of a side's feed come otherwise from now on."""
        self.adapters[side].backend.feed = mode

    @rule()
    def restart(self) -> None:
        supabase, convex = self.adapters.values()
        self.manager = SyncManager(supabase, convex, 1, self.tables, **self.options)

    @rule()
    def compare(self) -> None:
        """A table less or more; if it is one more, all records are compared."""
        self.tables = (
            [name for name in self.tables if name != "protocols"]
            if "protocols" in self.tables
            else [*self.tables, "protocols"]
        )
        self.restart()

    @rule(supabase=st.integers(0, 5), convex=st.integers(0, 5))
    def crash(self, supabase: int, convex: int) -> None:
        """A cycle in a process that is killed before one of its writes, unless it has fewer."""
        for adapter, life in zip(self.adapters.values(), (supabase, convex), strict=True):
            adapter.backend.life = life
        with suppress(Killed), self.lines():
            self.manager.sync_all()
        for adapter in self.adapters.values():
            adapter.backend.life = None
        self.restart()

    @rule(
        at=sides,
        after=st.integers(0, 5),
        compares=st.booleans(),
        side=sides,
        record=records,
        column=columns,
        deletes=st.booleans(),
    )
    def interrupt(
        self, at: str, after: int, compares: bool, side: str, record: str, column: str, deletes: bool
    ) -> None:
        """A cycle, perhaps one that compares all, in which a user does something before one of its transactions."""
        if compares:
            self.compare()
        backend, before = self.adapters[at].backend, iter(range(after))

        def work() -> None:
            if next(before, None) is not None:
                backend.interruption = work
                return
            with self.adapters[side].backend.direct():
                if deletes:
                    self.delete(side=side, record=record)
                else:
                    self.write(side=side, record=record, column=column)

        backend.interruption = work
        with self.lines():
            assert self.manager.sync_all() or self.cut
        backend.interruption = None

    @rule(decided=decisions)
    def sync(self, decided: Sequence[str]) -> None:
        """With all lines, a cycle brings both sides together, but for open conflicts; another one has nothing to do."""
        self.cut.clear()
        wanted = {side: self.own_slots(side) for side in SIDES}
        assert self.manager.sync_all(), self.manager.get_sync_status()
        for waiting, decision in zip(self.manager.get_conflicts(state="open"), cycle(decided), strict=False):
            taken: Any = decision
            if decision == "both":
                taken = both(waiting.first, waiting.second) if waiting.first and waiting.second else None
            self.manager.resolve_conflict(waiting.id, taken)
        assert self.rows("supabase") == self.rows("convex")
        assert {side: self.own_slots(side) for side in SIDES} == wanted
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
        assert self.owed <= self.known(*SIDES), "a version is lost"
        for record, edits in self.edits.items():
            if len({side for side, *_ in edits}) == 1 and not self.restored | (
                self.forgotten and self.needs_base(edits)
            ):
                row = self.adapters["supabase"].get("molecules", record)
                _, column, last = edits[-1]
                assert (None if row is None else row[column]) == last, "an edit without a rival is lost"
            edits.clear()
        self.forgotten = self.restored = False

    def known(self, *sides: str) -> set[str]:
        """The values that are part of what is on a side, of a deletion, or of its journal."""
        adapters = [self.adapters[side] for side in sides]
        rows = [row for one in adapters for row in one.run(Select("molecules")).rows]
        rows += [row for entry in journal(*adapters) if entry["state"] != "open" for row in rows_of(entry)]
        return set().union(*map(self.ancestry, rows), *self.deleted.values())

    def rows(self, side: str) -> dict[str, list[Row]]:
        return {table: self.adapters[side].run(Select(table)).rows for table in ("molecules", "slots")}

    def own_slots(self, side: str) -> list[Row]:
        """Those that belong to a side, as they are there."""
        return [row for row in self.rows(side)["slots"] if row["id"].startswith(side)]

    @contextmanager
    def lines(self) -> Iterator[None]:
        """The lines that are cut are cut for whoever syncs."""
        for side, (calls, loses_replies) in self.cut.items():
            backend = self.adapters[side].backend
            backend.calls, backend.loses_replies = calls, loses_replies
        try:
            yield
        finally:
            for adapter in self.adapters.values():
                adapter.backend.calls = None

    def needs_base(self, edits: Sequence[tuple[str, str, str | None]]) -> bool:
        """Whether only the agreed row says that these edits are the later ones; otherwise their times do."""
        timed = self.options["conflict_resolution"] in {"last_modified", "merge"}
        return not timed or any(last is None for *_, last in edits)


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=int(os.environ.get("SYNC_HISTORIES", "500")), stateful_step_count=30, deadline=None
)
