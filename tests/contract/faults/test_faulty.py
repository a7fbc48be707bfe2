"""The fault adapter with every backend: the effect of each fault in the database, and the error for the caller."""

# ruff: noqa: PT012  # a transaction that fails is a block

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from database.backends.faulty import Fault
from database.backends.faulty import Faults
from database.backends.faulty import FaultyAdapter
from database.core.clock import monotonic
from database.core.context import NO_CONTEXT
from database.core.context import current_context
from database.core.errors import BackendError
from database.core.errors import CircuitOpen
from database.core.errors import ConnectFailed
from database.core.errors import DataError
from database.core.errors import Outcome
from database.core.errors import OutcomeUnknown
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.operations import Batch
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from tests.contract.backends import Backend
from tests.contract.conftest import faulty
from tests.contract.tables import thing

ONCE: tuple[Operation, ...] = (
    Insert("things", [thing("b")]),
    Upsert("things", [{"label": "b"}]),
    Update("things", {"rank": 1}, id="a"),
    Update("things", {"rank": 1}, id="a", expected_version=1),
    Update("things", {"rank": 1}, where=Where("id", "eq", "a")),
    Delete("things", id="a", expected_version=1),
    Delete("things", where=Where("id", "eq", "a")),
    Batch((Get("things", "a"), Insert("things", [thing("b")]))),
)
"""Writes that must not be retried once they may have been applied."""

AGAIN: tuple[Operation, ...] = (
    Upsert("things", [thing("b")]),
    Delete("things", id="a"),
    Batch((Delete("things", id="a"), Upsert("things", [thing("b")]))),
)
"""Writes that may be retried without limit."""


def _kind(operation: Operation) -> str:
    return operation.kind


@pytest.fixture
def adapter(backend: Backend) -> FaultyAdapter:
    """An adapter without faults, and one thing in the database."""
    backend.adapter.run(Insert("things", [thing("a")]))
    return faulty(backend)


@pytest.mark.parametrize("operation", ONCE, ids=_kind)
@pytest.mark.parametrize(("fault", "applied"), [("cut", False), ("error_after_commit", True)])
def test_a_write_whose_answer_is_lost_is_unknown_and_not_repeated(
    adapter: FaultyAdapter, operation: Operation, fault: Fault, applied: bool
) -> None:
    before = _state(adapter)
    adapter.faults.next(fault)
    with pytest.raises(OutcomeUnknown) as unknown:
        adapter.run(operation)
    assert unknown.value.outcome is Outcome.UNKNOWN
    assert (unknown.value.backend, unknown.value.operation) == (adapter.name, operation.kind)
    assert (_state(adapter) != before) is applied


@pytest.mark.parametrize("operation", AGAIN, ids=_kind)
@pytest.mark.parametrize("fault", ["refuse", "error_before", "cut", "error_after_commit"])
def test_a_write_that_may_be_repeated_is(adapter: FaultyAdapter, operation: Operation, fault: Fault) -> None:
    before = _state(adapter)
    adapter.faults.next(fault)
    adapter.run(operation)
    assert _state(adapter) != before


@pytest.mark.parametrize("operation", ONCE, ids=_kind)
@pytest.mark.parametrize("fault", ["refuse", "error_before"])
def test_every_write_that_was_not_sent_is_repeated(adapter: FaultyAdapter, operation: Operation, fault: Fault) -> None:
    before = _state(adapter)
    adapter.faults.next(fault, fault)
    adapter.run(operation)
    assert _state(adapter) != before


@pytest.mark.parametrize("fault", ["refuse", "error_before", "cut", "error_after_commit"])
def test_reads_are_repeated(adapter: FaultyAdapter, fault: Fault) -> None:
    adapter.faults.next(fault, fault, fault)
    assert adapter.get("things", "a") is not None


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("refuse", ConnectFailed),
        ("error_before", Unavailable),
        ("cut", Unavailable),
        ("error_after_commit", Unavailable),
    ],
)
def test_a_read_that_keeps_failing_is_unavailable(adapter: FaultyAdapter, fault: Fault, error: type[DataError]) -> None:
    adapter.faults.next(*[fault] * 4)
    with pytest.raises(error) as failed:
        adapter.get("things", "a")
    assert type(failed.value) is error
    assert failed.value.outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize("fault", ["refuse", "error_before", "cut"])
def test_beginning_a_transaction_is_repeated(adapter: FaultyAdapter, fault: Fault) -> None:
    adapter.faults.next(fault, fault)
    with adapter.transaction():
        adapter.run(Insert("things", [thing("b")]))
    assert adapter.get("things", "b") is not None


def test_a_cut_transaction_is_rolled_back(adapter: FaultyAdapter) -> None:
    with pytest.raises(Unavailable), adapter.transaction() as transaction:
        adapter.run(Insert("things", [thing("b")]))
        adapter.faults.next("cut")
        adapter.run(Insert("things", [thing("c")]))
    assert transaction.state == "rolled_back"
    assert list(_state(adapter)) == ["a"]


def test_what_follows_a_cut_fails_too(adapter: FaultyAdapter) -> None:
    transaction = adapter.begin_transaction()
    with pytest.raises(Unavailable), transaction.nested():
        adapter.faults.next("cut")
        transaction.execute(Get("things", "a"), NO_CONTEXT)
    for again in (lambda: transaction.execute(Get("things", "a"), NO_CONTEXT), transaction.commit):
        with pytest.raises(Unavailable):
            again()
    adapter.run(Insert("things", [thing("b")]))


def test_every_call_of_a_cut_session_is_unavailable(adapter: FaultyAdapter) -> None:
    session = adapter.backend.open_session(NO_CONTEXT)
    adapter.faults.next("cut")
    calls: tuple[Callable[[], Any], ...] = (
        lambda: session.execute(Get("things", "a"), NO_CONTEXT),
        lambda: session.execute(Get("things", "a"), NO_CONTEXT),
        lambda: session.savepoint("s"),
        lambda: session.rollback_to("s"),
        lambda: session.release("s"),
        lambda: session.commit(NO_CONTEXT),
    )
    for call in calls:
        with pytest.raises(Unavailable):
            call()
    session.rollback()
    adapter.run(Insert("things", [thing("b")]))


@pytest.mark.parametrize(("fault", "applied"), [("cut", False), ("error_after_commit", True)])
def test_a_commit_whose_answer_is_lost_is_unknown(adapter: FaultyAdapter, fault: Fault, applied: bool) -> None:
    with pytest.raises(OutcomeUnknown), adapter.transaction() as transaction:
        adapter.run(Insert("things", [thing("b")]))
        adapter.faults.next(fault)
    assert transaction.state == "unknown"
    assert ("b" in _state(adapter)) is applied
    adapter.run(Insert("things", [thing("c")]))


def test_a_scripted_fault_waits_for_a_call_that_it_can_happen_to(adapter: FaultyAdapter) -> None:
    with pytest.raises(OutcomeUnknown), adapter.transaction():
        adapter.faults.next("error_after_commit", "refuse")
        adapter.run(Insert("things", [thing("b")]))
        adapter.run(Insert("things", [thing("c")]))
    with pytest.raises(ConnectFailed):
        adapter.backend.execute(Ping(), NO_CONTEXT)
    assert list(_state(adapter)) == ["a", "b", "c"]


def test_a_delayed_call_is_late_or_too_late(adapter: FaultyAdapter) -> None:
    adapter.faults.seconds = 0.01
    adapter.faults.next("delay")
    assert adapter.get("things", "a") is not None
    adapter.faults.seconds = 60.0
    adapter.faults.next("delay")
    token = current_context.set(NO_CONTEXT.until(monotonic() + 0.05))
    try:
        with pytest.raises(TimedOut, match="nothing was sent"):
            adapter.run(Insert("things", [thing("b")]))
    finally:
        current_context.reset(token)
    assert list(_state(adapter)) == ["a"]


def test_chance_is_reproducible(backend: Backend) -> None:
    def outcomes(seed: int) -> list[str]:
        rates = Faults(refuse=0.1, error_before=0.1, cut=0.1, error_after_commit=0.1)
        adapter = FaultyAdapter(backend.adapter, seed, rates, {"retry_count": 0, "circuit_breaker_threshold": 0})
        return [_outcome(adapter, Upsert("notes", [{"id": "a"}])) for _ in range(100)]

    first = outcomes(1)
    assert first == outcomes(1) != outcomes(2)
    assert set(first) == {"done", "ConnectFailed", "Unavailable", "OutcomeUnknown"}


def test_a_backend_that_is_down_opens_the_circuit_and_comes_back(backend: Backend) -> None:
    config = {"retry_count": 0, "circuit_breaker_threshold": 3, "circuit_breaker_timeout": 60}
    adapter = FaultyAdapter(backend.adapter, faults=Faults(refuse=1.0), config=config)
    outcomes = [_outcome(adapter, Get("things", "a")) for _ in range(5)]
    assert outcomes == ["ConnectFailed"] * 3 + ["CircuitOpen"] * 2
    assert adapter.connect() is False
    with pytest.raises(CircuitOpen):
        adapter.begin_transaction()
    adapter.faults.refuse = 0.0
    assert adapter.connect() is True
    assert _outcome(adapter, Get("things", "a")) == "done"
    adapter.pipeline.close()


def test_it_describes_itself_as_what_it_is(backend: Backend) -> None:
    adapter = FaultyAdapter(backend.adapter)
    info = adapter.get_connection_info()
    assert (info["type"], info["name"], info["inner"]) == (
        "faulty",
        f"faulty {backend.adapter.name}",
        backend.case.name,
    )
    assert adapter.schema is backend.adapter.schema
    assert adapter.capabilities == backend.case.capabilities


def _outcome(adapter: FaultyAdapter, operation: Operation) -> str:
    try:
        adapter.run(operation)
    except BackendError as error:
        return type(error).__name__
    return "done"


def _state(adapter: FaultyAdapter) -> dict[str, Any]:
    """The rows of the database, read without the faults."""
    return {row["id"]: row for row in adapter.inner.table("things").execute()}
