from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.convex_server.support import Caller
from tests.servers.convex_deployment import ConvexDeployment

ADD = "notes:add"


def add(caller: Caller, text: str = "x") -> httpx.Response:
    return caller.send("mutation", ADD, args={"text": text})


def test_a_connection_dropped_before_the_mutation_leaves_no_trace(caller: Caller) -> None:
    caller.deployment.faults.add("drop", path=ADD)
    with pytest.raises(httpx.RemoteProtocolError):
        add(caller)
    assert caller.notes() == []


def test_a_connection_dropped_after_the_mutation_leaves_it_applied(caller: Caller) -> None:
    caller.deployment.faults.add("drop", path=ADD, when="after")
    with pytest.raises(httpx.RemoteProtocolError):
        add(caller, "applied")
    assert caller.notes() == ["applied"]


def test_a_conflict_runs_the_mutation_and_rolls_it_back(caller: Caller) -> None:
    caller.deployment.faults.add("conflict")
    response = add(caller, "lost")
    assert (response.status_code, response.json()["code"]) == (503, "OptimisticConcurrencyControlFailure")
    assert caller.notes() == []
    assert add(caller, "repeated").json()["status"] == "success"
    assert caller.notes() == ["repeated"]


def test_a_conflict_waits_for_its_mutation(caller: Caller) -> None:
    caller.deployment.faults.add("conflict", path="notes:addExtra")
    assert add(caller).status_code == 200
    assert caller.send("query", "notes:list").status_code == 200
    assert caller.send("mutation", "notes:addExtra", args={"extra": 1}).status_code == 503


def test_a_conflict_does_not_hide_what_a_function_throws(caller: Caller) -> None:
    caller.deployment.faults.add("conflict")
    assert caller.outcome("mutation", "notes:addAndFail", data="thrown")["errorData"] == "thrown"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_status_with_a_time_to_wait(caller: Caller, when: Any) -> None:
    faults = caller.deployment.faults
    faults.add("status", path=ADD, when=when, status=429, code="TooManyConcurrentRequests", retry_after=3)
    response = add(caller, "x")
    assert (response.status_code, response.json()["code"]) == (429, "TooManyConcurrentRequests")
    assert response.headers["Retry-After"] == "3"
    assert caller.notes() == (["x"] if when == "after" else [])


def test_a_delay_lets_the_request_through_late(caller: Caller) -> None:
    caller.deployment.faults.add("delay", path=ADD, when="after", ms=600_000)
    with pytest.raises(httpx.ReadTimeout):
        caller.http.post("/api/mutation", json={"path": ADD, "args": {"text": "late"}}, timeout=0.5)
    assert caller.notes() == ["late"]
    caller.deployment.faults.add("delay", path=ADD, ms=1)
    assert add(caller).status_code == 200


def test_a_fault_happens_as_often_as_was_asked(caller: Caller) -> None:
    caller.deployment.faults.add("status", path=ADD, count=2)
    assert [add(caller).status_code for _ in range(4)] == [503, 503, 200, 200]


def test_a_fault_without_end_ends_when_cleared(caller: Caller) -> None:
    caller.deployment.faults.add("status", path=ADD, count=None)
    assert [add(caller).status_code for _ in range(3)] == [503] * 3
    caller.deployment.faults.clear()
    assert add(caller).status_code == 200


def test_a_fault_of_a_url_and_of_any(caller: Caller) -> None:
    caller.deployment.faults.add("status", path="/version", status=500)
    caller.deployment.faults.add("status", status=504)
    assert caller.send("query", "notes:list").status_code == 504
    assert caller.send("query", "notes:list").status_code == 200
    assert caller.http.get("/version").status_code == 500


def test_a_fault_strikes_a_query_of_a_batch(caller: Caller) -> None:
    caller.deployment.faults.add("status", path="notes:list")
    response = caller.http.post("/api/query_batch", json={"queries": [{"path": "notes:list", "args": {}}]})
    assert response.status_code == 503


def test_an_unknown_fault_is_refused(caller: Caller) -> None:
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        caller.deployment.faults.add("surprise")  # type: ignore[arg-type]


def test_requests_are_counted_also_if_they_fail(caller: Caller) -> None:
    assert caller.deployment.requests().routes == {}
    caller.deployment.faults.add("drop", path=ADD)
    with pytest.raises(httpx.RemoteProtocolError):
        add(caller)
    caller.http.get("/version")
    caller.send("query", "notes:list", "Bearer bad")
    counted = caller.deployment.requests()
    assert counted.routes == {"/api/mutation": 1, "/version": 1, "/api/query": 1}
    assert counted.functions == {ADD: 1}


def test_reset_forgets_documents_faults_and_counts(caller: Caller) -> None:
    add(caller)
    caller.deployment.faults.add("status", count=None)
    caller.deployment.reset()
    assert caller.deployment.requests().functions == {}
    assert caller.notes() == []
    assert add(caller).status_code == 200


@pytest.mark.parametrize(("method", "path"), [("POST", "/__faults"), ("POST", "/__reset"), ("GET", "/__requests")])
def test_a_deployment_without_control_has_no_such_routes(caller: Caller, method: str, path: str) -> None:
    with (
        ConvexDeployment(caller.deployment.functions, control=False) as deployment,
        httpx.Client(base_url=deployment.url, trust_env=False) as http,
    ):
        assert http.request(method, path).status_code == 404
