"""A repeated request has one effect and one response, whenever the transaction detects the earlier use of its key."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from threading import BrokenBarrierError
from typing import Any

import pytest
from flask import Flask

from api.http.idempotency import TABLE
from api.http.idempotency import idempotent
from database.backends.faulty import Fault
from database.backends.faulty import FaultyAdapter
from database.flask_scope import transactional
from database.resilience.repetition import ATTEMPTS
from database.unit_of_work import before_commit
from tests.integration.http.support import assert_problem
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import NOBODY
from tests.integration.transactions.ledger import TIMEOUT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import make_api
from tests.integration.transactions.ledger import managing
from tests.integration.transactions.ledger import write

MEETING = 0.3  # seconds that a request waits for the other one, which may be kept waiting by the database
KEY = {"Idempotency-Key": "k-1"}


@pytest.fixture
def faulty(ledger: Ledger) -> Iterator[FaultyAdapter]:
    adapter = FaultyAdapter(ledger.adapter())
    yield adapter
    adapter.disconnect()


@pytest.fixture
def doubts() -> list[Fault]:
    """The faults of the next commits of the shop, one each."""
    return []


@pytest.fixture
def shop(faulty: FaultyAdapter, doubts: list[Fault]) -> Flask:
    """An app with a view that makes an entry, once a key."""
    manager = managing(faulty)
    app = make_api(manager, REQUEST_TIMEOUT=TIMEOUT)
    numbers = iter(range(100))

    def suffer() -> None:
        faulty.faults.next(*doubts)
        doubts.clear()

    @app.post("/<account>/<int:status>")
    @idempotent
    def view(account: str, status: int) -> tuple[dict[str, int], int, dict[str, str]]:
        number = next(numbers)
        write(manager, f"entry {number}", account)
        before_commit(suffer)
        return {"number": number}, status, {"Location": f"/entries/{number}"}

    return app


def post(app: Flask, path: str = f"/{ACCOUNT}/201", headers: dict[str, str] = KEY) -> Any:
    return app.test_client().post(path, headers=headers)


def replays(first: Any, again: Any) -> bool:
    """Whether the second answer is the first one's replay."""
    same = (first.status_code, first.data, first.headers["Location"])
    return (
        "Idempotency-Replayed" not in first.headers
        and again.headers.get("Idempotency-Replayed") == "true"
        and same == (again.status_code, again.data, again.headers["Location"])
    )


def test_a_repeated_request_is_replayed(shop: Flask, ledger: Ledger) -> None:
    first, again, third = post(shop), post(shop), post(shop)
    assert (first.status_code, first.json) == (201, {"number": 0})
    assert replays(first, again)
    assert replays(first, third)
    assert ledger.notes() == ["entry 0"]
    assert ledger.balance() == 1


def test_another_key_and_none_are_other_requests(shop: Flask, ledger: Ledger) -> None:
    answers = [post(shop, headers=headers) for headers in (KEY, {"Idempotency-Key": "k-2"}, {}, {})]
    assert [answer.json["number"] for answer in answers] == [0, 1, 2, 3]
    assert ledger.balance() == 4
    assert len(ledger.rows(TABLE)) == 2


def test_a_key_is_not_good_for_another_request(shop: Flask, ledger: Ledger) -> None:
    assert post(shop).status_code == 201
    assert_problem(post(shop, f"/{ACCOUNT}/200"), 422)
    assert ledger.notes() == ["entry 0"]


@pytest.mark.parametrize("status", [409, 500])
def test_an_error_leaves_the_key_free(shop: Flask, ledger: Ledger, status: int) -> None:
    path = f"/{ACCOUNT}/{status}"
    assert [post(shop, path).json, post(shop, path).json] == [{"number": 0}, {"number": 1}]
    assert ledger.notes() == []
    assert ledger.rows(TABLE) == []


def test_a_commit_that_fails_leaves_the_key_free(shop: Flask, ledger: Ledger) -> None:
    path = f"/{NOBODY}/201"
    for _ in range(2):
        assert_problem(post(shop, path), 409, "constraint-violated")
    assert ledger.notes() == []
    assert ledger.rows(TABLE) == []


@pytest.mark.parametrize(("doubt", "made"), [("error_after_commit", True), ("cut", False)])
def test_a_request_whose_commit_is_in_doubt_is_made_once(
    shop: Flask, ledger: Ledger, doubts: list[Fault], doubt: Fault, made: bool
) -> None:
    doubts.append(doubt)
    assert_problem(post(shop), 503, "outcome-unknown")
    assert ledger.notes() == ["entry 0"] * made
    again = post(shop)
    assert (again.status_code, again.json) == (201, {"number": 0 if made else 1})
    assert ("Idempotency-Replayed" in again.headers) == made
    assert len(ledger.notes()) == ledger.balance() == 1


def test_requests_with_one_key_at_the_same_time_have_one_effect(faulty: FaultyAdapter, ledger: Ledger) -> None:
    manager = managing(faulty)
    app = make_api(manager, REQUEST_TIMEOUT=TIMEOUT)
    barrier = Barrier(2)

    @app.post("/")
    @idempotent
    def view() -> tuple[dict[str, str], int, dict[str, str]]:
        with suppress(BrokenBarrierError):
            barrier.wait(MEETING)
        write(manager, "x")
        return {"made": "yes"}, 201, {"Location": "/x"}

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda _: post(app, "/"), range(2)))
    first, second = sorted(answers, key=lambda answer: (answer.status_code, "Idempotency-Replayed" in answer.headers))
    assert first.status_code == 201
    if second.status_code == 201:
        assert replays(first, second)
    else:
        assert ledger.buffered
        assert_problem(second, 409)
    assert replays(first, post(app, "/"))
    assert ledger.notes() == ["x"]
    assert ledger.balance() == 1


def test_a_view_that_is_carried_out_anew_answers_all_that_come_at_once(faulty: FaultyAdapter, ledger: Ledger) -> None:
    manager = managing(faulty)
    app = make_api(manager, REQUEST_TIMEOUT=TIMEOUT)

    @app.post("/")
    @transactional(attempts=ATTEMPTS)
    @idempotent
    def view() -> tuple[dict[str, str], int]:
        write(manager, "x")
        return {"made": "yes"}, 201

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: post(app, "/"), range(4)))
    assert [(answer.status_code, answer.json) for answer in answers] == [(201, {"made": "yes"})] * 4
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 3
    assert ledger.notes() == ["x"]
