"""Idempotency keys: one effect and one answer, whoever repeats what, however often, and at whatever time."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from flask import Response

from api.http.idempotency import LIFETIME
from api.http.idempotency import TABLE
from database.core.clock import utc_now
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.errors import OutcomeUnknown
from database.core.operations import Update
from database.core.query.filters import Where
from tests.integration.http.support import Headers
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

THREADS = 8


@pytest.fixture
def user(site: Site) -> Headers:
    return {**site.register(), "Idempotency-Key": "k-1"}


def claims(site: Site) -> int:
    return len(site.dump()[TABLE])


def same(first: Any, again: Any) -> bool:
    """Whether the second answer is the first one's replay."""
    headers = ("Content-Type", "ETag", "Location")
    return (
        again.headers.get("Idempotency-Replayed") == "true"
        and (first.status_code, first.data) == (again.status_code, again.data)
        and all(first.headers.get(name) == again.headers.get(name) for name in headers)
    )


def test_every_change_is_replayed(site: Site, user: Headers) -> None:
    admin = site.admin()
    place = "/api/molecules/m"
    for headers, method, path, body in (
        (user, "POST", "/api/molecules", [{"name": "a"}, {"name": "b"}]),
        ({**user, "Idempotency-Key": "k-2"}, "PUT", place, {"name": "c"}),
        ({**user, "Idempotency-Key": "k-3"}, "PATCH", place, {"name": "d"}),
        ({**admin, "Idempotency-Key": "k-4"}, "DELETE", place, None),
    ):
        first = site.call(method, path, body, headers)
        assert first.status_code < 300
        assert "Idempotency-Replayed" not in first.headers
        before = site.dump()
        assert same(first, site.call(method, path, body, headers)), method
        assert site.dump() == before
    assert site.names() == ["a", "b"]


def test_a_key_belongs_to_one_request(site: Site, user: Headers) -> None:
    assert site.post("/api/molecules", {"name": "a"}, user).status_code == 201
    assert_problem(site.post("/api/molecules", {"name": "b"}, user), 422)
    assert_problem(site.post("/api/protocols", {"name": "a"}, user), 422)
    assert_problem(site.call("PUT", "/api/molecules/x", {"name": "a"}, user), 422)
    assert site.names() == ["a"]


def test_a_key_belongs_to_one_caller(site: Site, user: Headers) -> None:
    other = {**site.register("other"), "Idempotency-Key": user["Idempotency-Key"]}
    first, second = (site.post("/api/molecules", {"name": "a"}, caller) for caller in (user, other))
    assert second.status_code == 201
    assert first.json["id"] != second.json["id"]


def test_a_replay_needs_the_right_to_the_change(site: Site, user: Headers) -> None:
    assert site.post("/api/molecules", {"name": "a"}, user).status_code == 201
    assert_problem(site.post("/api/molecules", {"name": "a"}, {"Idempotency-Key": "k-1"}), 401)


@pytest.mark.parametrize("key", ["", "a b", "ü", "x" * 256, "tab\t"])
def test_a_key_is_visible_ascii(sqlite_site: Site, key: str) -> None:
    headers = {**sqlite_site.register(), "Idempotency-Key": key}
    assert_problem(sqlite_site.post("/api/molecules", {"name": "a"}, headers), 400)
    assert sqlite_site.names() == []


def test_an_error_leaves_the_key_free(site: Site, user: Headers) -> None:
    assert_problem(site.post("/api/molecules", {"name": 1}, user), 422)
    assert_problem(site.post("/api/experiments", {"name": "e", "molecule_id": "none"}, user), 409)
    assert claims(site) == 0
    assert site.post("/api/molecules", {"name": "a"}, user).status_code == 201


def test_a_lost_answer_is_found_again(site: Site, user: Headers) -> None:
    def fail(_: Response) -> Response:
        raise OutcomeUnknown("lost")

    # Registered before the unit of work's own, it runs after it: what is committed stays committed.
    site.app.after_request_funcs[None].insert(0, fail)
    answer = site.post("/api/molecules", {"name": "a"}, user)
    assert_problem(answer, 503, "outcome-unknown")
    site.app.after_request_funcs[None].remove(fail)
    again = site.post("/api/molecules", {"name": "a"}, user)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert site.names() == ["a"]


def test_an_old_key_may_be_used_again(site: Site, user: Headers) -> None:
    first = site.post("/api/molecules", {"name": "a"}, user)
    long_ago = utc_now() - LIFETIME - timedelta(minutes=1)
    with acting_as(SERVICE):
        site.manager.adapter.run_alone(Update(TABLE, {"created_at": long_ago}, where=Where("status", "eq", 201)))
    again = site.post("/api/molecules", {"name": "b"}, user)
    assert again.status_code == 201
    assert again.json["id"] != first.json["id"]
    assert same(again, site.post("/api/molecules", {"name": "b"}, user))
    assert site.names() == ["a", "b"]


def test_threads_with_one_key_have_one_effect(site: Site, user: Headers) -> None:
    barrier = Barrier(THREADS)

    def send(_: int) -> Any:
        barrier.wait(30)
        return site.post("/api/molecules", {"name": "a"}, user)

    for _ in range(3):
        with ThreadPoolExecutor(THREADS) as pool:
            answers = list(pool.map(send, range(THREADS)))
        statuses = Counter(answer.status_code for answer in answers)
        assert statuses == {201: THREADS}, [answer.text for answer in answers if answer.status_code != 201]
        assert len({answer.json["id"] for answer in answers}) == 1
    assert site.names() == ["a"]
    assert claims(site) == 1


def test_threads_with_their_own_keys_have_all_their_effects(site: Site, user: Headers) -> None:
    def send(number: int) -> Any:
        return site.post("/api/molecules", {"name": f"n{number:02}"}, {**user, "Idempotency-Key": str(number)})

    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(send, range(24)))
    assert {answer.status_code for answer in answers} == {201}
    assert site.names() == [f"n{number:02}" for number in range(24)]


def test_changes_of_different_records_are_no_conflict(site: Site, user: Headers) -> None:
    """Also where all of them look at the same pages first: for the record, and for the key."""

    def put(number: int) -> bool:
        headers = {"Authorization": user["Authorization"]}
        if number % 2:
            headers["Idempotency-Key"] = f"put{number}"
        answers = [site.call("PUT", f"/api/molecules/m{number}", {"name": name}, headers) for name in "ab"]
        # The second one under the key is another request.
        return [answer.status_code for answer in answers] == ([201, 422] if number % 2 else [201, 200])

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(put, range(24)))
    assert len(site.names()) == 24
