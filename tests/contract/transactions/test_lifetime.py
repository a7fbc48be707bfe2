"""Connecting, disconnecting, and abandoned transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from collections.abc import Iterator
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.backends.faulty import FaultyAdapter
from database.core.clock import monotonic
from database.core.context import NO_CONTEXT
from database.core.context import current_context
from database.core.errors import NotFound
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.operations import Call
from database.core.operations import Get
from database.core.operations import Insert
from tests.contract.backends import Backend
from tests.contract.tables import thing

PATIENCE = 20  # seconds; only a broken adapter needs them

Make = Callable[..., DatabaseAdapter]


@pytest.fixture(params=["bare", "through"])
def make(request: pytest.FixtureRequest, backend: Backend) -> Iterator[Make]:
    """Creates adapters for the test and disconnects them at its end."""
    made: list[DatabaseAdapter] = []

    def adapter(**config: Any) -> DatabaseAdapter:
        made.append(backend.another(**config))
        if request.param == "through":
            made.append(FaultyAdapter(made[-1], config=config))
        return made[-1]

    yield adapter
    for one in reversed(made):
        one.disconnect()


def test_connecting_and_disconnecting_may_be_repeated(make: Make) -> None:
    adapter = make()
    assert adapter.disconnect() is True
    assert adapter.connect() is adapter.connect() is True
    assert adapter.get_connection_info()["connected"] is True
    assert adapter.test_connection() == (True, "Connection successful")
    assert adapter.disconnect() is adapter.disconnect() is True
    assert adapter.get_connection_info()["connected"] is False


def test_a_call_connects_by_itself(make: Make) -> None:
    adapter = make()
    adapter.run(Insert("things", [thing("a")]))
    assert adapter.connected
    adapter.disconnect()
    assert [row["id"] for row in adapter.table("things").execute()] == ["a"]
    adapter.disconnect()
    with adapter.transaction():
        adapter.run(Insert("things", [thing("b")]))
    assert len(adapter.table("things").execute()) == 2


def test_disconnecting_rolls_open_transactions_back(make: Make) -> None:
    adapter = make()
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("a")]), NO_CONTEXT)
    adapter.disconnect()
    assert transaction.state == "rolled_back"
    with pytest.raises(Unavailable, match="disconnected"):
        transaction.commit()
    assert adapter.table("things").execute().rows == []


def test_what_is_known_without_asking(make: Make, backend: Backend) -> None:
    adapter = make()
    info = adapter.get_connection_info()
    assert (info["type"], info["name"], info["connected"]) == (adapter.kind, adapter.name, False)
    assert (info["circuit_state"], info["active_transactions"]) == ("closed", 0)
    assert info["in_flight"] == 0
    adapter.connect()
    assert adapter.get_connection_info()["connected"] is True
    password = backend.config.get("password", "no password")
    assert password not in repr(adapter.get_connection_info()) + repr(adapter)


def test_unknown_configuration_is_refused(backend: Backend) -> None:
    with pytest.raises(TypeError, match="has no configuration key databse"):
        backend.another(databse="x")
    with pytest.raises(ValueError, match="timeout"):
        backend.another(timeout=-1)


def test_a_transaction_that_outlives_its_deadline_is_rolled_back(make: Make) -> None:
    adapter = make(timeout=1.5)
    transaction = adapter.begin_transaction()
    transaction.execute(Insert("things", [thing("a")]), NO_CONTEXT)
    _wait_until(lambda: transaction.state == "expired")
    for refused in (lambda: transaction.execute(Get("things", "a"), NO_CONTEXT), transaction.commit):
        with pytest.raises(TimedOut):
            refused()
    transaction.rollback()
    with adapter.transaction():
        adapter.run(Insert("things", [thing("b")]))
    assert [row["id"] for row in adapter.table("things").execute()] == ["b"]


def test_a_callers_own_deadline_is_kept(make: Make) -> None:
    adapter = make()
    adapter.run(Insert("things", [thing("a")]))
    token = current_context.set(NO_CONTEXT.until(monotonic() - 1))
    try:
        for refused in (lambda: adapter.get("things", "a"), adapter.begin_transaction):
            with pytest.raises(TimedOut, match="before the call began"):
                refused()
        assert adapter.test_connection()[0] is False
    finally:
        current_context.reset(token)
    assert adapter.get("things", "a") is not None


def test_without_a_timeout_nothing_expires(make: Make) -> None:
    adapter = make(timeout=0)
    with adapter.transaction() as transaction:
        adapter.run(Insert("things", [thing("a")]))
    assert transaction.state == "committed"


def test_capabilities_are_as_expected(make: Make, backend: Backend) -> None:
    assert make().capabilities == backend.case.capabilities


def test_what_a_backend_cannot_do_is_refused_before_any_io(make: Make, backend: Backend) -> None:
    adapter = make()
    if backend.case.capabilities.calls:
        with pytest.raises(NotFound):
            adapter.call("nothing:at_all")
        return
    for attempt in (
        lambda: adapter.run(Call("nothing:at_all", {})),
        lambda: adapter.call("nothing:at_all"),
        lambda: adapter.execute_query("api.nothing.at_all", {"limit": 1}),
        lambda: adapter.execute_batch(["api.nothing.at_all"]),
    ):
        with pytest.raises(Unsupported) as refused:
            attempt()
        assert (refused.value.capability, refused.value.backend) == ("calls", adapter.name)
    assert not adapter.connected


def _wait_until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    deadline = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < deadline
        pause.wait(0.01)
