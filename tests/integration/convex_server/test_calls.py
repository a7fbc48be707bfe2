from __future__ import annotations

import httpx
import pytest

from tests.integration.convex_server.support import ENCODED
from tests.integration.convex_server.support import Caller
from tests.integration.convex_server.support import deploy_key
from tests.servers.convex_deployment import ConvexDeployment


def test_a_write_is_read_back(caller: Caller) -> None:
    identifier = caller.value("mutation", "notes:add", text="first")
    note = caller.value("query", "notes:find", text="first")
    assert note["_id"] == identifier
    assert note["count"] == {"$integer": "BwAAAAAAAAA="}


def test_the_plain_format_loses_types(caller: Caller) -> None:
    caller.value("mutation", "notes:add", text="first")
    note = caller.send("query", "notes:find", args={"text": "first"}).json()["value"]
    assert note["count"] == "7"


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        ("5", "5.0"),
        ("-3", "-3.0"),
        ("1.5", "1.5"),
        ("1e17", "100000000000000000.0"),
        ("1e22", "1e+22"),
        ('{"a":[1]}', '{"a":[1.0]}'),
        ('{"$integer":"BwAAAAAAAAA="}', '{"$integer":"BwAAAAAAAAA="}'),
        ('{"$float":"AAAAAAAA8H8="}', '{"$float":"AAAAAAAA8H8="}'),
    ],
)
def test_floats_have_a_fraction_or_an_exponent(caller: Caller, sent: str, answered: str) -> None:
    body = f'{{"path":"deep/probe:echo","format":"{ENCODED}","args":{{"value":{sent}}}}}'
    response = caller.http.post("/api/query", content=body, headers={"Content-Type": "application/json"})
    assert response.text == f'{{"status":"success","value":{answered}}}'


def test_a_failing_function_leaves_no_trace(caller: Caller) -> None:
    data = {"code": "NO", "number": {"$integer": "AQAAAAAAAAA="}}
    outcome = caller.outcome("mutation", "notes:addAndFail", data=data)
    assert outcome["status"] == "error"
    assert outcome["errorData"] == data
    assert caller.notes() == []


def test_a_crash_is_told_with_its_message(caller: Caller) -> None:
    message = caller.error("query", "deep/probe:crash")
    assert message.startswith("[Request ID: ")
    assert "Server Error\nUncaught TypeError: plain crash" in message


def test_arguments_are_validated(caller: Caller) -> None:
    assert "ArgumentValidationError" in caller.error("mutation", "notes:add", text=5)


def test_console_lines_come_with_the_answer_that_they_belong_to(caller: Caller) -> None:
    assert caller.outcome("query", "deep/probe:chat")["logLines"] == ["[LOG] 'hello' { to: 'you' }"]
    assert "logLines" not in caller.outcome("query", "notes:list")


@pytest.mark.parametrize("path", ["notes:nothing", "nowhere:list", "schema:default"])
def test_an_unknown_function_is_an_outcome(caller: Caller, path: str) -> None:
    assert "Could not find public function" in caller.error("query", path)


def test_a_function_of_another_kind_is_refused(caller: Caller) -> None:
    message = caller.error("query", "notes:add", text="x")
    assert "Trying to execute notes:add as Query, but it is defined as Mutation." in message
    assert caller.notes() == []


def test_internal_functions_need_the_deploy_key(caller: Caller) -> None:
    message = caller.error("mutation", "notes:addInternally", text="refused")
    assert "Could not find public function for 'notes:addInternally'" in message
    caller.value("mutation", "notes:addInternally", deploy_key(caller.deployment), text="added")
    assert caller.notes() == ["added"]


def test_an_action_runs_mutations(caller: Caller) -> None:
    caller.value("action", "notes:addThroughAction", text="by an action")
    assert caller.notes() == ["by an action"]


def test_a_commit_time_is_returned_as_what_it_becomes(caller: Caller) -> None:
    times = [caller.send("mutation", "notes:commitTime").json()["value"] for _ in range(2)]
    assert int(times[0]) < int(times[1])


def test_any_function_by_url(caller: Caller) -> None:
    assert caller.http.post("/api/run/notes/add", json={"args": {"text": "x"}}).json()["status"] == "success"
    answer = caller.http.post("/api/run/deep/probe/echo", json={"args": {"value": "y"}})
    assert answer.json() == {"status": "success", "value": "y"}
    assert caller.http.post("/api/run/notes", json={"args": {}}).json()["code"] == "MissingIdentifier"


def test_any_function_by_body_needs_the_deploy_key(caller: Caller) -> None:
    assert caller.send("function", "notes:list").status_code == 403
    assert caller.value("function", "notes:list", deploy_key(caller.deployment)) == []


def test_a_query_by_get(caller: Caller) -> None:
    query = {"path": "deep/probe:echo", "args": '{"value":"x"}'}
    assert caller.http.get("/api/query", params=query).json() == {"status": "success", "value": "x"}


def test_a_batch_of_queries(caller: Caller) -> None:
    caller.value("mutation", "notes:add", text="first")
    paths = ["notes:list", "deep/probe:crash", "notes:addInternally"]
    answer = caller.http.post("/api/query_batch", json={"queries": [{"path": path, "args": {}} for path in paths]})
    first, *others = answer.json()["results"]
    assert first == {"status": "success", "value": ["first"]}
    assert [outcome["status"] for outcome in others] == ["error", "error"]


def test_a_query_at_a_timestamp_is_answered_while_it_is_the_newest(caller: Caller) -> None:
    timestamp = caller.http.post("/api/query_ts").json()["ts"]
    body = {"path": "notes:list", "args": {}, "ts": timestamp}
    assert caller.http.post("/api/query_at_ts", json=body).json()["value"] == []
    caller.value("mutation", "notes:add", text="later")
    gone = caller.http.post("/api/query_at_ts", json=body)
    assert (gone.status_code, gone.json()["code"]) == (503, "OutOfRetention")


def test_names_of_the_deployment(caller: Caller) -> None:
    assert caller.http.get("/instance_name").text == "isthmus"
    assert caller.http.get("/version").status_code == 200


@pytest.mark.parametrize(
    ("status", "code", "request_of"),
    [
        (400, "BadJsonBody", {"content": b"{}", "headers": {"Content-Type": "text/plain"}}),
        (400, "BadJsonBody", {"content": b"{", "headers": {"Content-Type": "application/json"}}),
        (400, "BadJsonBody", {"json": []}),
        (400, "BadJsonBody", {"json": {"path": "notes:list"}}),
        (400, "BadConvexFunctionIdentifier", {"json": {"path": "no path", "args": {}}}),
        (400, "BadConvexFunctionIdentifier", {"json": {"args": {}}}),
        (400, "BadFormat", {"json": {"path": "notes:list", "args": {}, "format": "xml"}}),
    ],
)
def test_a_malformed_request_is_refused(caller: Caller, status: int, code: str, request_of: dict[str, object]) -> None:
    response = caller.http.post("/api/query", **request_of)  # type: ignore[arg-type]
    assert (response.status_code, response.json()["code"]) == (status, code)


def test_no_route_and_no_method(caller: Caller) -> None:
    assert caller.http.get("/api/nothing").status_code == 404
    assert caller.http.get("/api/mutation").status_code == 405


def test_the_api_specification(caller: Caller) -> None:
    path = "_system/cli/modules:apiSpec"
    functions = {spec["identifier"]: spec for spec in caller.value("query", path, deploy_key(caller.deployment))}
    assert functions["notes.js:add"] == {
        "identifier": "notes.js:add",
        "functionType": "Mutation",
        "visibility": {"kind": "public"},
        "args": {"type": "object", "value": {"text": {"fieldType": {"type": "string"}, "optional": False}}},
        "returns": {"type": "id", "tableName": "notes"},
    }
    assert functions["notes.js:addInternally"]["visibility"] == {"kind": "internal"}
    assert functions["notes.js:addThroughAction"]["functionType"] == "Action"
    assert functions["deep/probe.js:echo"]["returns"] == {"type": "any"}


def test_the_api_specification_needs_the_deploy_key(caller: Caller) -> None:
    assert "Could not find public function" in caller.error("query", "_system/cli/modules:apiSpec")


def test_production_keeps_messages_but_not_data(caller: Caller) -> None:
    from_folder = caller.deployment.functions
    with (
        ConvexDeployment(from_folder, production=True) as production,
        httpx.Client(base_url=production.url, trust_env=False) as http,
    ):
        strict = Caller(production, http)
        assert strict.error("query", "deep/probe:crash").endswith("Server Error")
        assert strict.outcome("mutation", "notes:addAndFail", data={"code": "NO"})["errorData"] == {"code": "NO"}
        assert "logLines" not in strict.outcome("query", "deep/probe:chat")
