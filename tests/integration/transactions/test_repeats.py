"""A view is retried after a conflict, without effects of the failed attempts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask import after_this_request
from flask import g
from flask import request
from flask import session

from database.connection_manager import ConnectionManager
from database.core.context import as_application
from database.core.errors import Conflict
from database.core.errors import OutcomeUnknown
from database.core.errors import SerializationFailure
from database.core.operations import Operation
from database.core.operations import Update
from database.flask_scope import before_answer
from database.flask_scope import transactional
from database.unit_of_work import after_commit
from database.unit_of_work import before_commit
from tests.integration.http.support import assert_problem
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import deposit
from tests.integration.transactions.ledger import write

pytestmark = pytest.mark.parametrize("ledger", ["sqlite"], indirect=True)


class Attempts(list[int]):
    """Counts the attempts of a view, and makes the first ones fail in a conflict."""

    def __init__(self, losing: int = 1) -> None:
        super().__init__()
        self._losing = losing

    def begin(self) -> int:
        self.append(len(self) + 1)
        return len(self)

    def end(self) -> None:
        if len(self) <= self._losing:
            raise SerializationFailure("another one came first")


@pytest.fixture
def attempts() -> Attempts:
    return Attempts()


def test_the_first_attempt_leaves_nothing(
    api: Flask, manager: ConnectionManager, ledger: Ledger, attempts: Attempts
) -> None:
    told: list[str] = []
    api.secret_key = "not a secret"

    @api.before_request
    def hook() -> None:
        told.append("hook")
        g.names = ("hook",)
        session["seen"] = ["hook"]
        before_commit(lambda: told.append("hook's commit"))

    @api.post("/")
    @transactional(attempts=3)
    def view() -> dict[str, Any]:
        number = attempts.begin()
        write(manager, f"attempt {number}")
        body = request.get_json()
        body["names"].append(number)
        g.names += (number,)
        session["seen"].append(number)
        session["last"] = number
        before_commit(lambda: told.append(f"commit {number}"))
        after_commit(lambda: told.append(f"committed {number}"))
        before_answer(lambda _: told.append(f"answer {number}"))
        after_this_request(lambda response: _named(response, number))
        attempts.end()
        return {**body, "g": g.names, "session": dict(session)}

    answer = api.test_client().post("/", json={"names": [0]})
    assert answer.json == {"names": [0, 2], "g": ["hook", 2], "session": {"seen": ["hook", 2], "last": 2}}
    assert told == ["hook", "answer 2", "hook's commit", "commit 2", "committed 2"]
    assert answer.headers.getlist("X-Attempt") == ["2"]
    assert ledger.notes() == ["attempt 2"]


def _named(response: Response, number: int) -> Response:
    response.headers.add("X-Attempt", str(number))
    return response


Reading = Callable[[], bytes]


def _uploaded() -> bytes:
    return request.form["a"].encode() + request.files["f"].stream.read()


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        (lambda: bytes(request.get_data()), {"data": b"xy"}),
        (lambda: request.get_data(parse_form_data=True) + request.form["a"].encode(), {"data": {"a": "xy"}}),
        (_uploaded, {"data": {"a": "x", "f": (BytesIO(b"y"), "f.txt")}}),
    ],
    ids=["bytes", "form", "file"],
)
def test_the_body_is_there_again(api: Flask, attempts: Attempts, read: Reading, sent: dict[str, Any]) -> None:
    found = []

    @api.post("/")
    @transactional(attempts=3)
    def view() -> str:
        attempts.begin()
        found.append(read())
        attempts.end()
        return "ok"

    assert api.test_client().post("/", **sent).status_code == 200
    assert found == [b"xy", b"xy"]


def test_a_body_that_was_read_as_a_stream_is_not_there_again(api: Flask, attempts: Attempts) -> None:
    @api.post("/")
    @transactional(attempts=3)
    def view() -> str:
        attempts.begin()
        request.stream.read()
        attempts.end()
        return "ok"

    assert_problem(api.test_client().post("/", data=b"x"), 409, "conflict")
    assert attempts == [1]


@pytest.mark.parametrize(
    ("method", "given", "losing", "expected"),
    [
        ("POST", None, 1, (409, 1)),
        ("POST", 1, 1, (409, 1)),
        ("POST", 3, 2, (200, 3)),
        ("POST", 3, 3, (409, 3)),
        ("GET", None, 3, (200, 4)),
        ("GET", 2, 3, (409, 2)),
    ],
)
def test_how_often(api: Flask, method: str, given: int | None, losing: int, expected: tuple[int, int]) -> None:
    attempts = Attempts(losing)

    @transactional(attempts=given)
    def view() -> str:
        attempts.begin()
        attempts.end()
        return "ok"

    api.add_url_rule("/", "view", view, methods=[method])
    answer = api.test_client().open("/", method=method)
    assert (answer.status_code, len(attempts)) == expected
    assert answer.headers.get("Retry-After") == (None if answer.status_code == 200 else "1")


def test_both_options_may_be_given_one_by_one(api: Flask, manager: ConnectionManager, attempts: Attempts) -> None:
    @api.post("/")
    @transactional(attempts=2)
    @transactional(lazy=True)
    def view() -> str:
        attempts.begin()
        deposit(manager, 1)
        attempts.end()
        return "ok"

    assert api.test_client().post("/").status_code == 200
    with pytest.raises(ValueError, match="at least 1"):
        transactional(attempts=0)


@pytest.mark.parametrize("error", [Conflict("version 2, not 1"), OutcomeUnknown("lost")], ids=["version", "unknown"])
def test_what_no_repetition_helps_is_not_repeated(api: Flask, attempts: Attempts, error: Exception) -> None:
    @api.post("/")
    @transactional(attempts=3)
    def view() -> str:
        attempts.begin()
        raise error

    assert api.test_client().post("/").status_code in {409, 503}
    assert attempts == [1]


def test_what_a_hook_has_done_in_the_unit_is_not_left_out(
    api: Flask, manager: ConnectionManager, ledger: Ledger, attempts: Attempts
) -> None:
    api.before_request(lambda: write(manager, "by the hook"))

    @api.post("/")
    @transactional(attempts=3)
    def view() -> str:
        attempts.begin()
        attempts.end()
        return "ok"

    assert_problem(api.test_client().post("/"), 409, "conflict")
    assert (attempts, ledger.notes()) == ([1], [])
    assert api.test_client().post("/").status_code == 200
    assert ledger.notes() == ["by the hook"]


def test_it_ends_with_the_deadline_of_the_request(api: Flask) -> None:
    attempts = Attempts(losing=10**9)

    @api.get("/")
    @transactional(attempts=10**9)
    def view() -> str:
        attempts.begin()
        attempts.end()
        return "ok"

    # The limit of the app is longer than that of the test around it.
    with as_application(within=0.3):
        assert_problem(api.test_client().get("/"), 503, "timed-out")
    assert len(attempts) > 1


def test_a_view_that_goes_on_after_a_lost_race_does_not_commit(
    api: Flask, manager: ConnectionManager, ledger: Ledger, attempts: Attempts
) -> None:
    """A GET view that writes late and catches the error."""

    @api.get("/")
    def view() -> str:
        manager.get("accounts", ACCOUNT)
        if attempts.begin() == 1:
            assert ledger.write("from outside")
        with suppress(Conflict):
            manager.run(_change())
        return "ok"

    assert api.test_client().get("/").status_code == 200
    assert (attempts, ledger.balance()) == ([1, 2], 7)


def _change() -> Operation:
    return Update("accounts", {"balance": 7}, id=ACCOUNT)
