"""Random exchanges of unique values, references and deletions on both sides, with crashes in between: none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import initialize
from hypothesis.stateful import rule

from database.core.errors import ConstraintViolated
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.sync import SyncManager
from tests.integration.sync.rings.conftest import SCHEMA
from tests.integration.sync.rings.conftest import TABLES
from tests.integration.sync.rings.conftest import Pair
from tests.integration.sync.support import Killed
from tests.integration.sync.support import MortalMemory
from tests.integration.sync.support import journal

RECORDS = tuple("abcd")

sides = st.integers(0, 1)
records = st.sampled_from(RECORDS)
several = st.lists(records, min_size=2, unique=True)


class Rings(RuleBasedStateMachine):
    """Each record belongs to one side, which alone works on it: so every edit must arrive, and none is a conflict."""

    @initialize()
    def begin(self) -> None:
        self.adapters = [MortalMemory({}, SCHEMA, name=name) for name in ("here", "there")]
        self.pair = Pair(*self.adapters)
        self.numbers = count(1)
        self.restart()

    @rule()
    def restart(self) -> None:
        here, there = self.adapters
        self.manager = SyncManager(here, there, 1, TABLES)

    @rule(side=sides, record=records, value=st.integers(1, 3))
    def put(self, side: int, record: str, value: int) -> None:
        """Write a record, whose values another one may have."""
        row = {"id": f"{side}{record}", "place": 10 * side + value, "code": f"{side}{next(self.numbers)}"}
        with suppress(ConstraintViolated):
            self.adapters[side].run(Upsert("slots", [row]))

    @rule(side=sides, some=several, column=st.sampled_from(["place", "code"]))
    def exchange(self, side: int, some: Sequence[str], column: str) -> None:
        """Each record gets the value of the one before it."""
        adapter = self.adapters[side]
        rows = [row for record in some if (row := adapter.get("slots", f"{side}{record}")) is not None]
        with adapter.transaction():
            for row in rows:
                adapter.run(Update("slots", {column: None}, row["id"]))
            for number, row in enumerate(rows):
                adapter.run(Update("slots", {column: rows[number - 1][column]}, row["id"]))

    @rule(side=sides, record=records, mentor=st.none() | records, captain=st.booleans())
    def join(self, side: int, record: str, mentor: str | None, captain: bool) -> None:
        """A player joins a team of the side, with a mentor, and may become its captain."""
        adapter, team = self.adapters[side], f"team {side}"
        with suppress(ConstraintViolated), adapter.transaction():
            if adapter.get("teams", team) is None:
                adapter.run(Insert("teams", [{"id": team, "name": team}]))
            known = None if mentor is None else f"{side}{mentor}"
            player = {"id": f"{side}{record}", "team_id": team, "mentor_id": known, "name": f"{next(self.numbers)}"}
            adapter.run(Upsert("players", [player]))
            if captain:
                adapter.run(Update("teams", {"captain_id": player["id"]}, team))

    @rule(side=sides)
    def dissolve(self, side: int) -> None:
        """Delete a team with its players, whoever refers to whom."""
        adapter, team = self.adapters[side], f"team {side}"
        players = [row["id"] for row in self.pair.rows(adapter)["players"] if row["team_id"] == team]
        with adapter.transaction():
            if adapter.get("teams", team) is not None:
                adapter.run(Update("teams", {"captain_id": None}, team))
            for player in players:
                adapter.run(Update("players", {"mentor_id": None}, player))
            for player in players:
                adapter.run(Delete("players", player))
            adapter.run(Delete("teams", team))

    @rule(side=sides, record=records)
    def delete(self, side: int, record: str) -> None:
        self.adapters[side].run(Delete("slots", f"{side}{record}"))

    @rule(lives=st.tuples(st.integers(0, 6), st.integers(0, 6)))
    def crash(self, lives: tuple[int, int]) -> None:
        """A cycle in a process that is killed before one of its writes, unless it has fewer."""
        for adapter, life in zip(self.adapters, lives, strict=True):
            adapter.backend.life = life
        with suppress(Killed):
            self.manager.sync_all()
        for adapter in self.adapters:
            adapter.backend.life = None
        self.restart()

    @rule(at=sides, side=sides, some=several)
    def interrupt(self, at: int, side: int, some: Sequence[str]) -> None:
        """A cycle in which records are exchanged between its look at them and its write."""
        work: Any = lambda: self.exchange(side=side, some=some, column="place")  # noqa: E731
        self.adapters[at].backend.interruption = work
        self.manager.sync_all()
        self.adapters[at].backend.interruption = None

    @rule()
    def sync(self) -> None:
        """A cycle brings both sides together; another one has nothing to do."""
        wanted = [self.owned(side) for side in (0, 1)]
        assert self.manager.sync_all(), self.manager.get_sync_status()
        assert self.pair.rows(self.adapters[0]) == self.pair.rows(self.adapters[1])
        assert [self.owned(side) for side in (0, 1)] == wanted
        assert journal(*self.adapters) == []
        writes = [adapter.backend.writes for adapter in self.adapters]
        assert self.manager.sync_all()
        assert [adapter.backend.writes for adapter in self.adapters] == writes

    def owned(self, side: int) -> dict[str, list[Any]]:
        """What belongs to a side, as it is there."""
        rows = self.pair.rows(self.adapters[side])
        return {
            table: [row for row in some if str(row.get("id", "")).removeprefix("team ").startswith(str(side))]
            for table, some in rows.items()
        }

    def teardown(self) -> None:
        if hasattr(self, "manager"):
            self.sync()


TestRings = Rings.TestCase
TestRings.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
