"""``on_changes``: a callback is told of single records, on every backend."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

import pytest

from database.backends.faulty import Faults
from database.changes.live_records import RecordChange
from database.core.context import acting_as
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import PermissionDenied
from database.core.errors import UnreadableRecord
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from tests.contract.backends import Backend
from tests.contract.callers import ADA
from tests.contract.callers import BOB
from tests.contract.callers import entry
from tests.contract.conftest import faulty
from tests.contract.following import FOLLOWED
from tests.contract.following import PATIENCE
from tests.contract.following import Inbox
from tests.contract.following import things
from tests.contract.following import with_a_feed
from tests.contract.keys.test_keys import CASES
from tests.contract.tables import thing

WRITTEN_BY_OTHERS = [case for case in FOLLOWED if case.name != "memory"]


class Told:
    """A callback that records the changes."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[RecordChange] = SimpleQueue()

    def __call__(self, change: RecordChange) -> None:
        self._queue.put(change)

    def next(self, seconds: float = PATIENCE) -> tuple[str, Any, Any]:
        """The type, record and old record of the next change."""
        change = self._queue.get(timeout=seconds)
        return change.type, change.record, change.old_record

    @property
    def empty(self) -> bool:
        return self._queue.empty()


@pytest.fixture
def told(inbox: Inbox) -> Told:
    """Depends on the fixture that looks whether threads are left."""
    return Told()


@with_a_feed
def test_what_comes_into_the_result_changes_in_it_and_leaves_it_is_told(backend: Backend, told: Told) -> None:
    adapter = backend.adapter
    adapter.run(Insert("things", [thing("a", rank=1), thing("b", rank=-1)]))
    with adapter.table("things").select("rank", "title").gt("rank", 0).on_changes(told):
        adapter.run(Insert("things", [thing("c", rank=-1)]))
        adapter.run(Insert("things", [thing("d", rank=2)]))
        assert told.next() == ("INSERT", {"id": "d", "rank": 2, "title": None}, None)
        adapter.run(Update("things", {"title": "x"}, id="a"))
        assert told.next() == ("UPDATE", {"id": "a", "rank": 1, "title": "x"}, {"id": "a"})
        adapter.run(Update("things", {"label": "not selected"}, id="a"))
        adapter.run(Update("things", {"rank": 3}, id="b"))
        assert told.next() == ("INSERT", {"id": "b", "rank": 3, "title": None}, None)
        adapter.run(Update("things", {"rank": 0}, id="a"))
        assert told.next() == ("DELETE", None, {"id": "a"})
        adapter.run(Delete("things", id="c"))
        adapter.run(Delete("things", id="d"))
        assert told.next() == ("DELETE", None, {"id": "d"})
    assert told.empty


@with_a_feed
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.table)
def test_records_are_told_by_their_keys_whatever_these_are(backend: Backend, told: Told, case: Any) -> None:
    adapter, keys = backend.adapter, [key for key, _ in case.keys]
    adapter.run(Insert(case.table, [{**key, "name": "x"} for key in keys]))
    with adapter.table(case.table).select("name").on_changes(told, existing=True):
        for key in keys:
            assert told.next(PATIENCE) == ("INSERT", {**key, "name": "x"}, None)
        adapter.run(Update(case.table, {"name": "y"}, id=keys[1]))
        assert told.next() == ("UPDATE", {**keys[1], "name": "y"}, keys[1])
        adapter.run(Delete(case.table, keys[2]))
        assert told.next() == ("DELETE", None, keys[2])
    assert told.empty


@with_a_feed
def test_who_may_not_see_a_record_is_not_told_of_it(backend: Backend, told: Told) -> None:
    adapter = backend.adapter
    with acting_as(ADA):
        subscription = adapter.table("diaries").select("title").on_changes(told)
    with subscription:
        adapter.run(Insert("diaries", [entry("b1", BOB)]))
        adapter.run(Insert("diaries", [entry("a1", ADA)]))
        kind, record, _ = told.next()
        assert (kind, record["id"]) == ("INSERT", "a1")
        adapter.run(Update("diaries", {"title": "new"}, id="b1"))
        adapter.run(Delete("diaries", id="b1"))
        adapter.run(Update("diaries", {"owner_id": BOB.subject, "title": "secret"}, id="a1"))
        assert told.next() == ("DELETE", None, {"id": "a1"})
    with acting_as(ADA), pytest.raises(PermissionDenied):
        adapter.table("prices").on_changes(told)
    assert told.empty


@with_a_feed
def test_after_an_outage_the_differences_are_told(backend: Backend, told: Told) -> None:
    adapter = faulty(backend)
    backend.adapter.run(Insert("things", [thing("a"), thing("b")]))
    with things(adapter).on_changes(told, existing=True):
        assert [told.next(PATIENCE)[1]["id"] for _ in "ab"] == ["a", "b"]
        adapter.faults.refuse = 1.0
        backend.adapter.run(Update("things", {"rank": 5}, id="a"))
        backend.adapter.run(Delete("things", id="b"))
        backend.adapter.run(Insert("things", [thing("c"), thing("d")]))
        backend.adapter.run(Delete("things", id="d"))
        adapter.faults.refuse = 0.0
        assert told.next(PATIENCE) == ("UPDATE", {"id": "a", "rank": 5}, {"id": "a"})
        assert told.next(PATIENCE) == ("DELETE", None, {"id": "b"})
        assert told.next(PATIENCE) == ("INSERT", {"id": "c", "rank": 0}, None)
    assert told.empty


@with_a_feed
def test_now_and_then_a_lost_answer_loses_no_change(backend: Backend, told: Told) -> None:
    adapter = faulty(backend, Faults(refuse=0.1, error_before=0.1, cut=0.1))
    with things(adapter).on_changes(told, existing=True):
        for number in range(5):
            backend.adapter.run(Insert("things", [thing(f"t{number}")]))
            assert told.next(PATIENCE)[1] == {"id": f"t{number}", "rank": 0}
    assert told.empty


@pytest.mark.parametrize("_backend", WRITTEN_BY_OTHERS, indirect=True, ids=lambda case: case.name)
def test_a_record_that_cannot_be_read_is_reported_and_has_not_left(backend: Backend, told: Told) -> None:
    assert backend.foreign is not None
    errors: SimpleQueue[Exception] = SimpleQueue()
    column, value = backend.foreign.bad[0]
    backend.adapter.run(Insert("things", [thing("a"), thing("bad")]))
    adapter = faulty(backend)
    with adapter.table("things").select("rank", column).on_changes(told, errors.put):
        adapter.faults.refuse = 1.0
        backend.adapter.run(Delete("things", id="bad"))
        backend.foreign.write("bad", column, value)
        adapter.faults.refuse = 0.0
        error = errors.get(timeout=PATIENCE)
        assert isinstance(error, UnreadableRecord)
        assert error.record_id == "bad"
        backend.adapter.run(Update("things", {"rank": 1}, id="a"))
        kind, record, _ = told.next(PATIENCE)
        assert (kind, record["id"]) == ("UPDATE", "a")
        backend.adapter.run(Delete("things", id="bad"))
        assert told.next(PATIENCE) == ("DELETE", None, {"id": "bad"})
    assert told.empty


@with_a_feed
def test_what_has_no_single_records_is_refused(backend: Backend, told: Told) -> None:
    table = backend.adapter.table
    for query, message in (
        (table("things").order("rank"), "columns and filters"),
        (table("things").limit(1), "columns and filters"),
        (table("things").offset(1), "columns and filters"),
        (table("things").group_by("rank"), "columns and filters"),
        (table("things").select("id", "rank::text"), "columns and filters"),
        (table("things").join("parts", "id", "thing_id"), "columns and filters"),
        (table("things").insert(thing("a")), "insert has no result"),
        (table("things").select(count=True), "no total count"),
        (table("things").eq("nothing", 1), "no column"),
    ):
        for existing in (True, False):
            with pytest.raises(InvalidQuery, match=message):
                query.on_changes(told, existing=existing)
    with pytest.raises(NotFound):
        table("nothing").on_changes(told)
    assert backend.adapter.table("things").execute().rows == []
    assert told.empty
