"""Records that refer to each other arrive on the other side, and go there, in whatever order."""

from __future__ import annotations

import pytest

from database.adapter.backend import Setup
from database.adapter.transactions import Session
from database.backends.memory import MemoryAdapter
from database.backends.memory.adapter import MemoryBackend
from database.core.context import Context
from database.core.context import as_application
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.sync import chunks
from tests.integration.sync.rings.conftest import LONG
from tests.integration.sync.rings.conftest import SCHEMA
from tests.integration.sync.rings.conftest import Pair


def a_team(pair: Pair, name: str) -> None:
    """A team with two players, one of which is its captain, and who are each other's mentors."""
    adapter = pair.first
    with as_application(), adapter.transaction():
        adapter.run(Insert("teams", [{"id": name, "name": name}]))
        adapter.run(Insert("players", [{"id": f"{name} {n}", "team_id": name} for n in range(2)]))
        adapter.run(Update("teams", {"captain_id": f"{name} 1"}, name))
        for n in range(2):
            adapter.run(Update("players", {"mentor_id": f"{name} {1 - n}"}, f"{name} {n}"))


def test_records_that_refer_to_each_other_come_and_go(pair: Pair) -> None:
    a_team(pair, "a")
    a_team(pair, "b")
    before = pair.rows(pair.first)
    pair.sync()
    assert pair.rows(pair.second) == before
    with as_application(), pair.second.transaction():
        pair.second.run(Update("teams", {"captain_id": None}, "a"))
        for n in range(2):
            pair.second.run(Update("players", {"mentor_id": None}, f"a {n}"))
        for n in range(2):
            pair.second.run(Delete("players", f"a {n}"))
        pair.second.run(Delete("teams", "a"))
    pair.sync()
    assert [len(pair.rows(pair.first)[table]) for table in ("teams", "players")] == [1, 2]


def test_a_record_is_replaced_by_one_with_its_values_and_its_referrers(pair: Pair) -> None:
    """The new team has the name of the old one, whose players have moved to it."""
    a_team(pair, "a")
    pair.sync()
    with as_application(), pair.first.transaction():
        pair.first.run(Update("teams", {"name": "old", "captain_id": None}, "a"))
        pair.first.run(Insert("teams", [{"id": "a new one", "name": "a", "captain_id": "a 0"}]))
        for n in range(2):
            pair.first.run(Update("players", {"team_id": "a new one"}, f"a {n}"))
        pair.first.run(Delete("teams", "a"))
    before = pair.rows(pair.first)
    pair.sync()
    assert pair.rows(pair.second) == before
    assert [row["name"] for row in before["teams"]] == ["a"]


@pytest.mark.usefixtures("small_chunks")
def test_long_chains_of_references_whose_last_one_sorts_first(pair: Pair) -> None:
    with as_application():
        pair.first.run(Insert("teams", [{"id": "t", "name": "t"}]))
        for start in range(0, LONG, 50):
            numbers = range(start, min(LONG, start + 50))
            players = [
                {"id": f"{LONG - n:04}", "team_id": "t", "mentor_id": f"{LONG - n + 1:04}" if n else None}
                for n in numbers
            ]
            pair.first.run(Insert("players", players, returning=False))
    before = pair.rows(pair.first)
    pair.sync()
    assert pair.rows(pair.second) == before
    with as_application(), pair.second.transaction():
        for n in reversed(range(LONG)):
            pair.second.run(Delete("players", f"{LONG - n:04}"))
    pair.sync()
    assert pair.rows(pair.first)["players"] == []


@pytest.mark.parametrize("blocked", [False, True])
def test_the_number_of_transactions_is_proportional_to_that_of_records(
    blocked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if none of them can be written, because the first one of the chain cannot."""
    monkeypatch.setattr(chunks, "FIRST", 10)
    monkeypatch.setattr(chunks, "LARGEST", 10)
    few, many = (_transactions(number, blocked=blocked) for number in (50, 500))
    assert many < 15 * few


def _transactions(number: int, *, blocked: bool) -> int:
    """How many transactions the sync of a chain of references takes, the last one of which sorts first."""
    first, second = CountingMemory({}, SCHEMA, name="first"), CountingMemory({}, SCHEMA, name="second")
    with as_application():
        first.run(Insert("teams", [{"id": "t", "name": "t"}]))
        if blocked:
            second.run(Insert("teams", [{"id": "another", "name": "t"}]))
        ids = [f"{number - n:04}" for n in range(number)]
        players = [
            {"id": one, "team_id": "t", "mentor_id": mentor} for one, mentor in zip(ids, [None, *ids], strict=False)
        ]
        first.run(Insert("players", players, returning=False))
    manager = Pair(first, second).manager()
    assert manager.sync_all() is not blocked
    assert len(manager.get_sync_status()["failures"]) == (number + 2 if blocked else 0)
    return second.backend.sessions


class _CountingBackend(MemoryBackend):
    """Tables in memory that count the transactions that are begun."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.sessions = 0

    def open_session(self, context: Context) -> Session:
        self.sessions += 1
        return super().open_session(context)


class CountingMemory(MemoryAdapter):
    """An adapter on that backend."""

    backend_class = _CountingBackend
    backend: _CountingBackend
