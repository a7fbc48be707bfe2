"""Live records under every order of writes, reads, pages of the feed, gaps and failures."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any

import pytest

from database.backends.memory import MemoryAdapter
from database.changes import live_records
from database.changes.budget import MemoryBudget
from database.changes.crew import Crew
from database.changes.crew import Member
from database.changes.interest import ChangedRecords
from database.changes.live_records import LiveRecords
from database.changes.live_records import RecordChange
from database.changes.live_records import RecordSubscription
from database.changes.outage import Outage
from database.changes.subscription import Surroundings
from database.core.errors import ConnectFailed
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.result import Result
from database.core.result import Row

HIGH = Where("formula", "gte", "5")


class ByHand(Crew):
    """A crew that works when the test says so.

    :ivar due: who has work.
    """

    def __init__(self) -> None:
        super().__init__("by hand")
        self.due: set[Member] = set()

    def join(self, member: Member) -> None:
        self.due.add(member)

    def call(self, member: Member) -> None:
        self.due.add(member)

    def leave(self, member: Member) -> None:
        self.due.discard(member)

    def work(self) -> None:
        """Serve everybody who has work now."""
        due, self.due = self.due, set()
        for member in due:
            member.serve()


class World:
    """A table, one subscription to its records, and what its callback knows of them.

    :ivar known: the records that the callback was told of.
    :ivar errors: what was reported.
    :ivar refusal: raised instead of reading.
    :ivar meanwhile: called before and after each read.
    :ivar pages: counts the reads of pages.
    """

    def __init__(
        self, budget: MemoryBudget | None = None, *, existing: bool = True, where: Where | None = HIGH
    ) -> None:
        self.adapter = MemoryAdapter()
        self.known: dict[str, Row] = {}
        self.told: list[tuple[str, str]] = []
        self.errors: list[Exception] = []
        self.refusal: Exception | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self.pages = 0
        self._where = where
        self._cursor = self.adapter.changes().cursor
        self.crew = ByHand()
        around = Surroundings("main", Outage("main"), self.crew, budget or MemoryBudget(), lambda _: None)
        query = Select("molecules", ("name",), where)
        records = LiveRecords(self.adapter.schema.table("molecules"), query, self._run, existing=existing)
        self.subscription = RecordSubscription(around, records, self._tell, self.errors.append)

    def start(self) -> None:
        self.subscription.prepare()
        self.subscription.start()

    def write(self, key: str, formula: int, name: str = "") -> None:
        self.adapter.run(Upsert("molecules", [{"id": key, "formula": str(formula), "name": name}]))

    def delete(self, key: str) -> None:
        self.adapter.run(Delete("molecules", key))

    def poll(self, *, gap: bool = False, limit: int = 1_000, unread: bool = False) -> None:
        """Note a page of the feed, as the poller does."""
        page = self.adapter.changes(self._cursor, limit)
        self._cursor = page.cursor
        changed = ChangedRecords(None if gap else page, lambda *_: None if unread else self._changed(*_))
        if (changed and self.subscription.note(changed)) or self.subscription.waiting:
            self.crew.call(self.subscription)

    def settle(self) -> None:
        """Work until there is nothing left to do."""
        self.refusal, self.meanwhile = None, lambda: None
        self.poll()
        while self.crew.due:
            self.crew.work()

    def rows(self) -> dict[str, Row]:
        """The records that the callback should know."""
        result = self.adapter.run(Select("molecules", ("id", "name"), self._where))
        return {row["id"]: row for row in result.rows}

    def _changed(self, table: str, addresses: Any) -> list[Row]:
        return self.adapter.run(Select(table, where=Where("id", "in", list(addresses)))).rows

    def _run(self, operation: Operation) -> Result:
        if self.refusal is not None:
            raise self.refusal
        assert isinstance(operation, Select)
        self.pages += operation.limit is not None
        self.meanwhile()
        result = self.adapter.run_alone(operation)
        self.meanwhile()
        return result

    def _tell(self, change: RecordChange) -> None:
        key = (change.record or change.old_record or {})["id"]
        before = self.known.pop(key, None)
        assert (before is None) == (change.type == "INSERT")
        assert change.old_record == (None if change.type == "INSERT" else {"id": key})
        if change.record is not None:
            assert change.record != before
            self.known[key] = change.record
        self.told.append((change.type, key))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three records at most, and few that may wait."""
    monkeypatch.setattr(live_records, "_FIRST_PAGE", 1)
    monkeypatch.setattr(live_records, "_LARGEST_PAGE", 3)
    monkeypatch.setattr(live_records, "_MOST_WAITING", 4)


def _step(world: World, chance: Random) -> None:
    key = f"r{chance.randrange(12):02}"
    match chance.randrange(9):
        case 0 | 1 | 2:
            world.write(key, chance.randrange(10), chance.choice("xyz"))
        case 3:
            world.delete(key)
        case 4 | 5:
            world.poll(gap=not chance.randrange(6), limit=chance.randrange(1, 6), unread=not chance.randrange(3))
        case 6:
            world.refusal = chance.choice((None, None, ConnectFailed("down"), PermissionDenied("no"), ValueError()))
        case _:
            world.crew.work()


def _write_and_poll(world: World, chance: Random) -> None:
    for _ in range(chance.randrange(5)):
        match chance.randrange(4):
            case 0:
                world.write(f"r{chance.randrange(12):02}", chance.randrange(10), chance.choice("xyz"))
            case 1:
                world.delete(f"r{chance.randrange(12):02}")
            case _:
                world.poll(gap=not chance.randrange(10), limit=chance.randrange(1, 6))


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(60))
def test_whatever_happens_the_callback_knows_the_records_in_the_end(seed: int) -> None:
    chance = Random(seed)
    world = World()
    for number in range(chance.randrange(8)):
        world.write(f"r{number:02}", chance.randrange(10))
    world.start()
    for _ in range(80):
        world.meanwhile = lambda: _write_and_poll(world, chance)
        _step(world, chance)
    world.settle()
    # After a refusal, the next change shows that the query is allowed again.
    world.write("last", 9)
    world.settle()
    assert world.known == world.rows()


def test_after_a_gap_only_differences_are_told() -> None:
    world = World()
    for key in "abcd":
        world.write(key, 9)
    world.start()
    world.settle()
    world.told.clear()
    world.write("b", 9, "new")
    world.write("c", 1)
    world.delete("d")
    world.write("e", 9)
    world.poll(gap=True)
    world.settle()
    assert sorted(world.told) == [("DELETE", "c"), ("DELETE", "d"), ("INSERT", "e"), ("UPDATE", "b")]


def test_after_an_outage_only_what_has_changed_is_read() -> None:
    world = World()
    world.write("a", 9)
    world.start()
    world.settle()
    before, world.refusal = world.pages, ConnectFailed("down")
    world.write("b", 9)
    world.poll()
    world.crew.work()
    assert world.subscription.waiting
    world.settle()
    assert (world.told, world.pages) == ([("INSERT", "a"), ("INSERT", "b")], before)


def test_changes_are_told_in_their_order() -> None:
    world = World(existing=False)
    world.write("c", 9)
    world.start()
    world.settle()
    for key in ("b", "d", "a"):
        world.write(key, 9)
    world.known["c"] = {}
    world.delete("c")
    world.write("e", 9)
    world.settle()
    assert world.told == [("INSERT", "b"), ("INSERT", "d"), ("INSERT", "a"), ("DELETE", "c"), ("INSERT", "e")]


def test_what_exists_is_not_told_but_known() -> None:
    world = World(existing=False)
    world.write("a", 9, "old")
    world.write("b", 9)
    world.start()
    assert world.told == []
    world.known = {"a": {}, "b": {}}
    world.write("a", 9, "old")
    world.write("b", 9, "new")
    world.settle()
    assert world.told == [("UPDATE", "b")]


def test_a_change_while_the_present_records_are_read_is_told_at_most_once() -> None:
    world = World(existing=False)
    world.write("a", 9)

    def write() -> None:
        world.write("b", 9, "new")
        world.poll()

    world.meanwhile = write
    world.start()
    world.settle()
    assert world.told in ([], [("INSERT", "b")])
    world.known.setdefault("b", {})
    world.write("b", 9, "newer")
    world.settle()
    assert world.told[-1] == ("UPDATE", "b")


@pytest.mark.usefixtures("small")
def test_constant_changes_do_not_keep_the_last_records_from_being_told() -> None:
    world = World()
    for number in range(100):
        world.write(f"r{number:02}", 9)

    def change() -> None:
        for number in range(8):
            world.write(f"r{number:02}", 9, str(len(world.told)))
        world.poll()

    world.start()
    world.meanwhile = change
    for _ in range(100):
        world.crew.work()
    assert world.known.keys() == world.rows().keys()


def test_a_record_that_is_deleted_while_it_is_read_is_told_of() -> None:
    world, reads = World(), count()

    def delete() -> None:
        if next(reads) == 1:  # between reading and telling
            world.delete("a")
            world.poll()

    world.start()
    world.settle()
    world.write("a", 9)
    world.poll()
    world.meanwhile = delete
    world.crew.work()
    world.settle()
    assert world.told == [("INSERT", "a"), ("DELETE", "a")]


def test_a_callback_that_fails_is_told_of_the_next_one(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    world.write("a", 9)
    world.known["a"] = {}  # an insert of it is a mistake
    world.start()
    world.write("b", 9)
    world.settle()
    assert world.told == [("INSERT", "b")]
    assert isinstance(world.errors[0], AssertionError)
    assert "the callback of a subscription on main failed" in caplog.messages


@pytest.mark.parametrize("existing", [True, False])
def test_what_cannot_be_held_ends_the_subscription(existing: bool) -> None:
    budget = MemoryBudget(2_000)
    world = World(budget, existing=existing, where=None)
    for number in range(100):
        world.write(str(number), 9)
    if existing:
        world.start()
        world.crew.work()
        assert isinstance(world.errors[0], InvalidQuery)
    else:
        with pytest.raises(InvalidQuery, match="watch fewer records"):
            world.start()
        world.subscription.unsubscribe()
    assert not world.subscription.active
    assert budget.used == 0
    assert not world.crew.due


def test_a_callback_may_end_it() -> None:
    world = World()
    for key in "abc":
        world.write(key, 9)
    tell = world.told.append

    class Once(list[tuple[str, str]]):
        def append(self, told: tuple[str, str]) -> None:
            tell(told)
            world.subscription.unsubscribe()

    first, world.told = world.told, Once()
    world.start()
    world.settle()
    assert first == [("INSERT", "a")]
