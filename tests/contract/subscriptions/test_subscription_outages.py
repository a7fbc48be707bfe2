"""Subscriptions with a failing callback or an unavailable backend."""

from __future__ import annotations

import logging
from queue import SimpleQueue
from threading import Event
from typing import Any

import httpx
import pytest

from database.backends.faulty import Faults
from database.core.clock import monotonic
from database.core.operations import Insert
from database.core.operations import Upsert
from database.core.result import Row
from tests.contract.backends import Backend
from tests.contract.conftest import faulty
from tests.contract.following import FOLLOWED
from tests.contract.following import PATIENCE
from tests.contract.following import Inbox
from tests.contract.following import things
from tests.contract.following import with_a_feed
from tests.contract.tables import thing
from tests.servers.convex_deployment import ConvexFaults

CONVEX = [case for case in FOLLOWED if case.name == "convex"]


@with_a_feed
def test_what_a_callback_raises_is_logged_and_handed_on(
    backend: Backend, inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    errors = SimpleQueue[Exception]()

    def fail_on_one(rows: list[Row]) -> None:
        if len(rows) == 1:
            raise ZeroDivisionError("in the callback")
        inbox(rows)

    with things(backend.adapter).subscribe(fail_on_one, errors.put):
        assert inbox.next(PATIENCE) == []
        backend.adapter.run(Insert("things", [thing("a")]))
        assert str(errors.get(timeout=PATIENCE)) == "in the callback"
        backend.adapter.run(Insert("things", [thing("b")]))
        assert inbox.next_ids() == ["a", "b"]
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


@with_a_feed
def test_an_error_callback_may_fail_as_well(backend: Backend, inbox: Inbox) -> None:
    def fail(error: Exception) -> None:
        raise ArithmeticError from error

    def fail_on_one(rows: list[Row]) -> None:
        inbox(rows)
        if len(rows) == 1:
            raise ZeroDivisionError

    with things(backend.adapter).subscribe(fail_on_one, fail):
        inbox.next(PATIENCE)
        for number in range(2):
            backend.adapter.run(Insert("things", [thing(f"t{number}")]))
            assert len(inbox.next()) == number + 1


@with_a_feed
def test_an_outage_is_waited_for(backend: Backend, inbox: Inbox, caplog: pytest.LogCaptureFixture) -> None:
    adapter, second = faulty(backend), Inbox()
    with things(adapter).subscribe(inbox), things(adapter).subscribe(second):
        assert inbox.next(PATIENCE) == second.next(PATIENCE) == []
        adapter.faults.refuse = 1.0
        _wait_for_lines(caplog, 1)
        backend.adapter.run(Insert("things", [thing("a")]))
        backend.adapter.run(Insert("things", [thing("b")]))
        adapter.faults.refuse = 0.0
        assert inbox.next_ids(PATIENCE) == second.next_ids(PATIENCE) == ["a", "b"]
        _wait_for_lines(caplog, 2)
        backend.adapter.run(Insert("things", [thing("c")]))
        assert inbox.next_ids() == ["a", "b", "c"]
    assert len(_lines(caplog)) == 2
    assert _lines(caplog)[0].startswith(f"{adapter.name} does not respond to its subscriptions; they are retried: ")
    assert _lines(caplog)[1] == f"{adapter.name} responds to its subscriptions again"


@with_a_feed
def test_one_may_subscribe_during_an_outage(backend: Backend, inbox: Inbox) -> None:
    adapter = faulty(backend, Faults(refuse=1.0))
    with things(adapter).subscribe(inbox):
        backend.adapter.run(Insert("things", [thing("a")]))
        adapter.faults.refuse = 0.0
        assert inbox.next_ids(PATIENCE) == ["a"]


@with_a_feed
def test_now_and_then_a_lost_answer_loses_nothing(backend: Backend, inbox: Inbox) -> None:
    adapter = faulty(backend, Faults(refuse=0.1, error_before=0.1, cut=0.1))
    with things(adapter).subscribe(inbox):
        inbox.next(PATIENCE)
        for number in range(5):
            backend.adapter.run(Insert("things", [thing(f"t{number}")]))
            assert len(inbox.next(PATIENCE)) == number + 1


@pytest.mark.parametrize("_backend", CONVEX, indirect=True, ids=["convex"])
@pytest.mark.parametrize("path", ["isthmus:changes", "isthmus:select", None])
@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "status", "status": 503, "code": "Overloaded"}], ids=str)
def test_a_deployment_may_go_away(
    backend: Backend, inbox: Inbox, path: str | None, fault: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    adapter = backend.another(retry_count=0)
    with httpx.Client(base_url=backend.config["url"], trust_env=False) as client, things(adapter).subscribe(inbox):
        assert inbox.next(PATIENCE) == []
        faults = ConvexFaults(client)
        faults.add(**fault, path=path, count=None)
        try:
            if path is not None:
                backend.adapter.run(Insert("things", [thing("a")]))
            _wait_for_lines(caplog, 1)
        finally:
            faults.clear()
        backend.adapter.run(Upsert("things", [thing("a")]))
        assert inbox.next_ids(PATIENCE) == ["a"]
        _wait_for_lines(caplog, 2)
    assert len(_lines(caplog)) == 2
    adapter.disconnect()


def _wait_for_lines(caplog: pytest.LogCaptureFixture, count: int) -> None:
    pause, deadline = Event(), monotonic() + PATIENCE
    while len(_lines(caplog)) < count:
        assert monotonic() < deadline
        pause.wait(0.01)


def _lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if "its subscriptions" in record.getMessage()]
