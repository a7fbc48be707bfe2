"""Evaluations over HTTP: their records, events and metrics."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from config.settings import ConfigurationError
from stores import RecordStoreDeclaration
from tests.integration.http.evaluated import PACKAGE
from tests.integration.http.evaluations.conftest import PLACE
from tests.integration.http.evaluations.conftest import Create
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem
from tests.integration.http.support import make_site

ONE = f"{PLACE}/eval-123"


def test_an_evaluation_is_made_run_and_read(site: Site, create: Create, user: Headers) -> None:
    made = create("eval-123", metadata={"engine": "docker"})
    assert (made.status_code, made.headers["Location"]) == (201, ONE)
    assert made.json["code_hash"] == sha256(b"print('Hello')").hexdigest()
    assert (made.json["status"], made.json["metadata"]) == ("queued", {"engine": "docker"})
    running = site.call("PATCH", ONE, {"status": "running"}, user)
    assert (running.status_code, running.json["completed_at"]) == (200, None)
    done = {"status": "completed", "output": "Hello", "metadata": {"exit_code": 0}}
    ended = site.call("PATCH", ONE, done, user)
    assert (ended.json["output"], ended.json["output_size"], ended.json["runtime_ms"] >= 0) == ("Hello", 5, True)
    read = site.get(ONE, user)
    assert (read.json, read.headers["ETag"]) == (ended.json, ended.headers["ETag"])
    assert read.json["metadata"] == {"engine": "docker", "exit_code": 0}
    assert site.get(ONE, {**user, "If-None-Match": read.headers["ETag"]}).status_code == 304
    assert create("eval-123").status_code == 409


def test_an_id_is_made_for_an_evaluation_without_one(site: Site, user: Headers) -> None:
    made = site.post(PLACE, {"code": "1"}, user)
    assert site.get(made.headers["Location"], user).json == made.json


def test_a_wrong_step_names_both_statuses(site: Site, create: Create, user: Headers) -> None:
    tag = create("eval-123").headers["ETag"]
    assert site.call("PATCH", ONE, {"status": "failed", "error": "no worker"}, user).status_code == 200
    for headers in (user, {**user, "If-Match": site.get(ONE, user).headers["ETag"]}):
        problem = assert_problem(site.call("PATCH", ONE, {"status": "running"}, headers), 409, "wrong-step")
        assert (problem["before"], problem["after"]) == ("failed", "running")
    assert_problem(site.call("PATCH", ONE, {"status": "running"}, {**user, "If-Match": tag}), 412)
    assert site.get(ONE, user).json["status"] == "failed"


def test_what_somebody_else_has_changed_is_not_overwritten(
    site: Site, create: Create, user: Headers, admin: Headers
) -> None:
    old = {"If-Match": create("eval-123").headers["ETag"]}
    new = {"If-Match": site.call("PATCH", ONE, {"status": "running"}, {**user, **old}).headers["ETag"]}
    assert_problem(site.call("PATCH", ONE, {"output": "late"}, {**user, **old}), 412)
    assert_problem(site.call("DELETE", ONE, headers={**admin, **old}), 412)
    assert site.call("DELETE", ONE, headers={**admin, **new}).status_code == 204
    for answer in (site.get(ONE, user), site.call("PATCH", ONE, {}, user), site.call("DELETE", ONE, headers=admin)):
        assert_problem(answer, 404, "not-found")


def test_who_is_signed_in_reads_and_writes_and_admins_delete(site: Site, create: Create, user: Headers) -> None:
    create("eval-123")
    for method, path in (
        ("GET", ONE),
        ("GET", PLACE),
        ("PATCH", ONE),
        ("GET", f"{ONE}/live"),
        ("PUT", f"{ONE}/output"),
    ):
        assert_problem(site.call(method, path, {}), 401)
    assert_problem(site.post(PLACE, {"id": "a", "code": "b"}), 401)
    assert_problem(site.call("DELETE", ONE, headers=user), 403)
    # The tables themselves are closed to callers.
    for table in ("evaluation_events", "evaluation_metrics"):
        assert_problem(site.get(f"/api/{table}", user), 404)
    assert_problem(site.get("/api/storage/outputs", user), 404)


def test_a_repeated_request_has_one_effect(site: Site, create: Create, user: Headers) -> None:
    create("eval-123")
    keyed = {**user, "Idempotency-Key": "again"}
    body = {"event_type": "note", "message": "once"}
    first, again = (site.post(f"{ONE}/events", body, keyed) for _ in range(2))
    assert (again.headers["Idempotency-Replayed"], again.json) == ("true", first.json)
    assert [event["event_type"] for event in site.get(f"{ONE}/events", user).json["data"]] == ["submitted", "note"]


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "", {"id": "a"}, "'code'"),
        ("POST", "", {"id": 7, "code": ""}, "id"),
        ("POST", "", {"id": "", "code": ""}, "id"),
        ("POST", "", {"id": "x" * 256, "code": ""}, "id"),
        ("POST", "", {"id": ["a"], "code": ""}, "id"),
        ("POST", "", {"id": "statistics", "code": ""}, "id"),
        ("POST", "", {"id": "..", "code": ""}, "id"),
        ("POST", "", {"id": "a", "code": 1}, "code"),
        ("POST", "", {"id": "a", "code": "", "metadata": []}, "metadata"),
        ("POST", "", {"id": "a", "code": "", "status": "completed"}, "'status'"),
        ("PATCH", "/eval-123", {"status": "done"}, "status"),
        ("PATCH", "/eval-123", {"output": 1}, "output"),
        ("PATCH", "/eval-123", {"code": "other"}, "'code'"),
        ("POST", "/eval-123/events", {"event_type": "a"}, "'message'"),
        ("POST", "/eval-123/events", {"event_type": "", "message": ""}, "type"),
        ("POST", "/eval-123/events", {"event_type": "log", "message": 1}, "text"),
        ("POST", "/eval-123/metrics", {"metric_name": "a", "metric_value": "1"}, "value"),
        ("POST", "/eval-123/metrics", {"metric_name": "a", "metric_value": True}, "value"),
        ("GET", "?status=done", None, "status"),
        ("GET", "?since=yesterday", None, "since"),
        ("GET", "?since=2026-01-01T00:00:00+00:00", None, "%2B"),
        ("GET", "?metadata=docker", None, "metadata"),
        ("GET", "?limit=0", None, "limit"),
        ("GET", "?cursor=x", None, "cursor"),
        ("GET", "?count=yes", None, "count"),
        ("GET", "?code=1", None, "'code'"),
        ("GET", "/eval-123/events?limit=1001", None, "limit"),
        ("GET", "/eval-123/output?kind=all", None, "kind"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(
    *, site: Site, create: Create, user: Headers, method: str, path: str, body: Any, named: str
) -> None:
    made = create("eval-123")
    assert named in assert_problem(site.call(method, PLACE + path, body, user), 400)["detail"]
    assert site.get(ONE, user).json == made.json
    assert site.get(f"{PLACE}?count=exact", user).json["count"] == 1
    assert len(site.get(f"{ONE}/events", user).json["data"]) == 1
    assert site.get(f"{ONE}/metrics", user).json["data"] == []


@pytest.mark.parametrize(
    "id_",
    ["../../escaped", "a/b", "~", "~1", "%2F", "a b", "é\u0301", "'; drop table evaluations; --", "a\0b", "\U0001f9ea"],
)
def test_any_text_is_an_id(site: Site, create: Create, user: Headers, admin: Headers, id_: str) -> None:
    made = create(id_)
    assert (made.status_code, made.json["id"]) == (201, id_)
    address = f"{PLACE}/{quote(id_.replace('~', '~0').replace('/', '~1'), safe='')}"
    for path in (made.headers["Location"], address):
        assert site.get(path, user).json == made.json
    assert site.post(f"{address}/events", {"event_type": "note", "message": id_}, user).status_code in {201, 400}
    assert site.get(f"{address}/events", user).json["data"][0]["evaluation_id"] == id_
    assert site.call("DELETE", address, headers=admin).status_code == 204


def test_lists_are_filtered_before_they_are_cut(site: Site, create: Create, user: Headers) -> None:
    for number in range(6):
        create(f"e{number}", f"print({number})", metadata={"engine": "docker" if number % 2 else "native"})
    for number, status in ((0, "completed"), (1, "failed"), (2, "completed")):
        site.call("PATCH", f"{PLACE}/e{number}", {"status": status}, user)

    def listed(query: str) -> list[str]:
        return [one["id"] for one in site.get(f"{PLACE}?{query}", user).json["data"]]

    assert listed("") == ["e5", "e4", "e3", "e2", "e1", "e0"]
    assert listed("status=completed&limit=3") == ["e2", "e0"]
    assert listed("status=completed,failed") == ["e2", "e1", "e0"]
    assert listed("metadata=" + quote('{"engine":"docker"}')) == ["e5", "e3", "e1"]
    assert listed("text=PRINT(4") == ["e4"]
    at = site.get(f"{PLACE}/e3", user).json["created_at"]
    assert (listed(f"since={at}"), listed(f"until={at}")) == (["e5", "e4", "e3"], ["e2", "e1", "e0"])
    page = site.get(f"{PLACE}?limit=4&count=exact", user).json
    assert (page["count"], "code" in page["data"][0]) == (6, False)
    assert listed(f"limit=4&cursor={page['next_cursor']}") == ["e1", "e0"]
    numbers = site.get(f"{PLACE}/statistics?status=completed,failed", user).json
    assert (numbers["total"], numbers["success_rate"]) == (3, pytest.approx(2 / 3))


def test_events_and_metrics_are_appended_and_read_in_pages(site: Site, create: Create, user: Headers) -> None:
    create("eval-123")
    for number in range(5):
        made = site.post(f"{ONE}/events", {"event_type": "log", "message": f"line {number}"}, user)
        assert (made.status_code, made.json["data"][0]["message"]) == (201, f"line {number}")
        metric = {"metric_name": "memory", "metric_value": number, "unit": "MiB"}
        assert site.post(f"{ONE}/metrics", metric, user).json["metric_value"] == number
    site.post(f"{ONE}/metrics", {"metric_name": "other", "metric_value": 0.5}, user)
    first = site.get(f"{ONE}/events?limit=4", user).json
    rest = site.get(f"{ONE}/events?limit=4&cursor={first['next_cursor']}", user).json
    messages = [event["message"] for event in first["data"] + rest["data"]]
    assert messages[1:] == [f"line {number}" for number in range(5)]
    assert rest["next_cursor"] is None
    series = site.get(f"{ONE}/metrics?name=memory", user).json["data"]
    assert [metric["metric_value"] for metric in series] == [0, 1, 2, 3, 4]
    memory = site.get(f"{ONE}/metrics/aggregates", user).json["memory"]
    assert memory == {"count": 5, "min": 0, "max": 4, "mean": 2, "sum": 10, "last": 4}
    for path in ("events", "metrics", "metrics/aggregates", "output", "code", "live"):
        assert_problem(site.get(f"{PLACE}/none/{path}", user), 404)
    assert_problem(site.post(f"{PLACE}/none/events", {"event_type": "a", "message": "b"}, user), 404)


def test_without_a_declaration_there_are_no_routes(sqlite_site: Site) -> None:
    assert_problem(sqlite_site.get(PLACE), 404)


@pytest.mark.parametrize(
    ("declared", "named"),
    [
        (RecordStoreDeclaration(blobs="none"), "'none'"),
        (RecordStoreDeclaration(access={"read": "owner"}), "owner"),
        (RecordStoreDeclaration(access={"read": "user", "writes": "user"}), "read, write and delete"),
    ],
)
def test_a_wrong_declaration_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, declared: RecordStoreDeclaration, named: str
) -> None:
    monkeypatch.setattr(f"{PACKAGE}.stores.RECORD_STORES", {"evaluations": declared})
    with pytest.raises(ConfigurationError, match=named):
        make_site(tmp_path, APPLICATION_PACKAGE=PACKAGE)
