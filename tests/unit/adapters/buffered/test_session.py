"""What a buffered transaction sends, and what it does when others are faster or answers are lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from database.backends.buffered.request import CommitRequest
from database.core.context import Context
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import OutcomeUnknown
from database.core.errors import PermissionDenied
from database.core.errors import SerializationFailure
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.result import Result
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing
from tests.unit.adapters.buffered.loopback import LoopbackAdapter


@pytest.fixture
def adapter() -> LoopbackAdapter:
    """An adapter with the things a, b and c, which has sent nothing yet."""
    adapter = LoopbackAdapter({"circuit_breaker_threshold": 0}, schema=SCHEMA)
    adapter.run(Insert("things", [thing("a"), thing("b"), thing("c")]))
    adapter.backend.sent.clear()
    return adapter


def kinds(adapter: LoopbackAdapter) -> list[str]:
    return [operation.kind for operation in adapter.backend.sent]


def test_inserts_are_one_round_trip(adapter: LoopbackAdapter) -> None:
    with adapter.transaction():
        for number in range(10):
            adapter.run(Insert("things", [thing(f"n{number}")]))
    assert kinds(adapter) == ["commit"]


def test_a_transaction_that_reads_once_sends_no_commit(adapter: LoopbackAdapter) -> None:
    with adapter.transaction():
        adapter.get("things", "a")
        adapter.get("things", "a")
    assert kinds(adapter) == ["get"]


def test_a_transaction_that_reads_twice_and_changes_nothing_is_validated(adapter: LoopbackAdapter) -> None:
    with adapter.transaction():
        adapter.get("things", "a")
        adapter.get("things", "a")
        adapter.table("things").eq("rank", 0).execute()
        adapter.table("things").eq("rank", 0).execute()
    assert kinds(adapter) == ["get", "select", "validate"]


def test_what_is_read_of_two_moments_is_no_answer(adapter: LoopbackAdapter) -> None:
    adapter.run(Insert("things", [thing("d")]))

    def torn() -> None:
        with adapter.transaction():
            adapter.get("things", "a")
            adapter.run_alone(Update("things", {"rank": 5}, where=Where("id", "in", ["a", "d"])))
            adapter.get("things", "d")

    with pytest.raises(SerializationFailure):
        torn()


def test_what_is_read_in_a_batch_is_of_one_moment(adapter: LoopbackAdapter) -> None:
    adapter.run(Batch((Get("things", "a"), Select("things"))))
    assert kinds(adapter) == ["get", "select", "validate"]


def test_a_row_that_matches_later_is_not_left_out(adapter: LoopbackAdapter) -> None:
    def late() -> None:
        with adapter.transaction():
            adapter.run(Update("things", {"rank": 7}, where=Where("rank", "eq", 0)))
            adapter.run_alone(Insert("things", [thing("d", rank=0)]))

    with pytest.raises(SerializationFailure):
        late()


def test_a_rolled_back_transaction_sends_nothing_more(adapter: LoopbackAdapter) -> None:
    with pytest.raises(ZeroDivisionError), adapter.transaction():  # noqa: PT012  # a transaction is a block
        adapter.run(Insert("things", [thing("d")]))
        raise ZeroDivisionError
    assert kinds(adapter) == []


@pytest.mark.parametrize(
    ("operation", "sent"),
    [
        (Insert("things", [thing("d"), thing("e")]), ["commit"]),
        (Update("things", {"rank": 1}, id="a"), ["get", "commit"]),
        (Update("things", {"rank": 1}, where=Where("rank", "eq", 0)), ["select", "commit"]),
        (Update("things", {"rank": 1}, id="nobody"), ["get"]),
        (Upsert("things", [thing("a"), thing("d")]), ["select", "commit"]),
        (Delete("things", id="a"), ["get", "commit"]),
        (Sql("update things set rank = 1 where id = 'a'"), ["get", "commit"]),
        (Batch((Insert("things", [thing("d")]), Insert("parts", [{"thing_id": "d"}]))), ["commit"]),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_write_on_its_own(adapter: LoopbackAdapter, operation: Operation, sent: list[str]) -> None:
    adapter.run(operation)
    assert [kind.replace("select", "get") for kind in kinds(adapter)] == [
        kind.replace("select", "get") for kind in sent
    ]


def test_a_page_is_full_although_own_changes_thinned_it(adapter: LoopbackAdapter) -> None:
    with adapter.transaction():
        adapter.run(Delete("things", id="a"))
        assert [row["id"] for row in adapter.table("things").limit(2).execute()] == ["b", "c"]
        adapter.run(Update("things", {"rank": 5}, id="b"))
        assert [row["id"] for row in adapter.table("things").eq("rank", 0).limit(1).execute()] == ["c"]


READS: dict[str, Callable[[LoopbackAdapter], Any]] = {
    "record": lambda adapter: adapter.get("things", "a"),
    "absence": lambda adapter: adapter.get("things", "new"),
    "range": lambda adapter: adapter.table("things").lte("rank", 1).execute(),
    "empty range": lambda adapter: adapter.table("things").eq("id", "new").execute(),
    "page": lambda adapter: adapter.table("things").order("rank").limit(1).execute(),
    "count": lambda adapter: adapter.table("things").select("id", count=True).limit(1).execute(),
    "groups": lambda adapter: adapter.table("things").group_by("rank").execute(),
}
CHANGES: dict[str, Operation] = {
    "updated": Update("things", {"rank": -1}, id="a"),
    "deleted": Delete("things", id="a"),
    "inserted": Insert("things", [thing("new", rank=1)]),
    "elsewhere": Insert("notes", [{"id": "n"}]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("read", READS)
def test_what_was_read_must_still_be_so(adapter: LoopbackAdapter, read: str, change: str) -> None:
    def work() -> None:
        with adapter.transaction():
            READS[read](adapter)
            adapter.run(Insert("things", [thing("mine")]))
            adapter.run_alone(CHANGES[change])

    concerned = {
        "record": {"updated", "deleted"},
        "absence": {"inserted"},
        "empty range": {"inserted"},
        "page": {"updated", "deleted"},
    }
    if change in concerned.get(read, {"updated", "deleted", "inserted"}):
        with pytest.raises(Conflict):
            work()
        assert adapter.get("things", "mine") is None
    else:
        work()
        assert adapter.get("things", "mine") is not None


def test_what_was_seen_stays_so_until_the_end(adapter: LoopbackAdapter) -> None:
    with suppress(SerializationFailure), adapter.transaction():
        before = adapter.get("things", "a")
        adapter.run_alone(Update("things", {"rank": 5}, id="a"))
        assert adapter.get("things", "a") == before
        assert [row["rank"] for row in adapter.table("things").eq("id", "a").execute()] == [0]


def test_what_a_caller_does_to_its_rows_is_not_committed(adapter: LoopbackAdapter) -> None:
    with adapter.transaction():
        row = adapter.run(Insert("things", [thing("d", data={"n": [1]})])).rows[0]
        row["data"]["n"].append(2)
        row["rank"] = 9
    stored = adapter.get("things", "d") or {}
    assert (stored["data"], stored["rank"]) == ({"n": [1]}, 0)


def test_a_write_that_loses_a_race_begins_anew(adapter: LoopbackAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    transmit = adapter.backend.deliver
    others = iter([1, 2])

    def overtaken(operation: Operation, context: Context) -> Result:
        if isinstance(operation, CommitRequest) and (rank := next(others, None)):
            adapter.backend._tables.execute(Update("things", {"rank": rank}, id="a"))
        return transmit(operation, context)

    monkeypatch.setattr(adapter.backend, "deliver", overtaken)
    row = adapter.run(Update("things", {"label": "mine"}, id="a")).first or {}
    assert (row["label"], row["rank"], row["version"]) == ("mine", 2, 4)
    assert adapter.get("things", "a") == row


def test_an_expected_version_is_not_overtaken(adapter: LoopbackAdapter) -> None:
    adapter.run(Update("things", {"rank": 1}, id="a"))
    with pytest.raises(Conflict, match="version 2, not 1"):
        adapter.run(Update("things", {"rank": 2}, id="a", expected_version=1))


class _LosesAnswers:
    """Has the first commits applied and their answers lost."""

    def __init__(self, adapter: LoopbackAdapter, error: DataError, times: int) -> None:
        self._transmit = adapter.backend.deliver
        self._error = error
        self._times = times
        self.keys: list[str] = []

    def __call__(self, operation: Operation, context: Context) -> Result:
        result = self._transmit(operation, context)
        if isinstance(operation, CommitRequest):
            self.keys.append(operation.key)
            if len(self.keys) <= self._times:
                raise self._error
        return result


@pytest.mark.parametrize("inside", [True, False])
def test_a_commit_whose_answer_was_lost_is_made_once(
    adapter: LoopbackAdapter, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    loses = _LosesAnswers(adapter, OutcomeUnknown("lost"), 2)
    monkeypatch.setattr(adapter.backend, "deliver", loses)
    if inside:
        with adapter.transaction():
            row = adapter.run(Insert("things", [thing("d")])).first or {}
    else:
        row = adapter.run(Insert("things", [thing("d")])).first or {}
    assert len(loses.keys) == 3
    assert len(set(loses.keys)) == 1
    assert adapter.get("things", "d") == row


def test_a_write_that_loses_every_race_until_the_deadline_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = LoopbackAdapter({"timeout": 0.2, "circuit_breaker_threshold": 0}, schema=SCHEMA)
    transmit = adapter.backend.deliver

    def lose(operation: Operation, context: Context) -> Result:
        if isinstance(operation, CommitRequest):
            raise SerializationFailure("somebody was faster")
        return transmit(operation, context)

    monkeypatch.setattr(adapter.backend, "deliver", lose)
    with pytest.raises(TimedOut):
        adapter.run(Insert("things", [thing("d")]))
    with pytest.raises(Conflict), adapter.transaction():
        adapter.run(Insert("things", [thing("d")]))


def test_an_outcome_that_stays_unknown_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = LoopbackAdapter({"retry_count": 0, "circuit_breaker_threshold": 0}, schema=SCHEMA)
    monkeypatch.setattr(adapter.backend, "deliver", _LosesAnswers(adapter, OutcomeUnknown("lost"), 1))
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("d")]), Context())
    with pytest.raises(OutcomeUnknown):
        transaction.commit()
    assert transaction.state == "unknown"


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (ConstraintViolated("refused"), ConstraintViolated),
        (PermissionDenied("the token has expired"), OutcomeUnknown),
        (InvalidQuery("the request is too large"), OutcomeUnknown),
    ],
    ids=["judged", "refused", "malformed"],
)
def test_a_refusal_after_a_lost_answer_is_believed_if_the_commit_was_judged(
    adapter: LoopbackAdapter, monkeypatch: pytest.MonkeyPatch, refusal: DataError, told: type[DataError]
) -> None:
    """A backend would have recognised a commit that it had made; who only looks at the token would not."""
    answers: list[DataError] = [OutcomeUnknown("lost"), refusal]
    transmit = adapter.backend.deliver

    def refuse(operation: Operation, context: Context) -> Result:
        if isinstance(operation, CommitRequest):
            raise answers.pop(0)
        return transmit(operation, context)

    monkeypatch.setattr(adapter.backend, "deliver", refuse)
    with pytest.raises(told):
        adapter.run(Insert("things", [thing("d")]))
    assert answers == []


def test_every_round_trip_is_guarded(adapter: LoopbackAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    guarded = LoopbackAdapter({"retry_count": 0, "circuit_breaker_threshold": 2}, schema=SCHEMA)

    def fail(_: Operation, __: Context) -> Result:
        raise Unavailable("down")

    monkeypatch.setattr(guarded.backend, "deliver", fail)
    transaction = guarded.begin_transaction()
    for _ in range(2):
        with pytest.raises(Unavailable, match="down"):
            guarded.get("things", "a")
    with pytest.raises(Unavailable, match="circuit"):
        transaction.execute(Select("things"), Context())
    transaction.rollback()
    assert guarded.get_connection_info()["circuit_state"] == "open"
    guarded.disconnect()
