"""The end of a request decides whether it commits, regardless of the response that Flask makes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import pytest
from flask import Flask
from flask import Response
from flask import abort
from flask import redirect
from flask import request
from flask import stream_with_context
from werkzeug.exceptions import UnprocessableEntity

from database.connection_manager import ConnectionManager
from database.unit_of_work import commit_anyway
from database.unit_of_work import current_unit
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import NOBODY
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import write

View = Callable[[], Any]


class BusinessError(Exception):
    """An exception that the app raises and handles itself."""


def fail() -> Any:
    raise BusinessError


def crash() -> Any:
    raise ValueError("a bug")


@dataclass(frozen=True, slots=True)
class Case:
    """A way to end a request that has written.

    :ivar status: of the answer when the commit, if there is one, succeeds.
    """

    name: str
    end: View
    status: int
    commits: bool = False


CASES = (
    Case("ok", lambda: "stored", 200, commits=True),
    Case("redirect", lambda: redirect("/elsewhere"), 302, commits=True),
    Case("stream", lambda: Response(stream_with_context(iter(["a", "b"]))), 200, commits=True),
    Case("created", lambda: ({"id": "1"}, 201, {"Location": "/1"}), 201, commits=True),
    Case("only headers", lambda: ("stored", {"X-Note": "1"}), 200, commits=True),
    Case("no status but headers", lambda: (Response("stored"), None, {"X-Note": "1"}), 200, commits=True),
    Case("handled exception", fail, 200),
    Case("abort", lambda: abort(409), 409),
    Case("unhandled exception", crash, 500),
    Case("returned number", lambda: ("no", 422), 422),
    Case("returned text", lambda: ("no", "422 Unprocessable"), 422),
    Case("returned enum", lambda: ("no", HTTPStatus.CONFLICT, {"X-Note": "1"}), 409),
    Case("returned response", lambda: Response("no", 404), 404),
    Case("response in a tuple", lambda: (Response("no", 404), {"X-Note": "1"}), 404),
    Case("returned exception", UnprocessableEntity, 422),
    Case("nothing returned", lambda: None, 500),
)


@pytest.fixture
def ending(app: Flask, manager: ConnectionManager) -> Callable[..., Any]:
    """Have a request write an entry and end in a way: ``ending(case, account) -> response``."""
    app.register_error_handler(BusinessError, lambda _: ("handled", 200))

    def ask(end: View, account: str = ACCOUNT) -> Any:
        def view() -> Any:
            write(manager, "in the view", account)
            return end()

        app.add_url_rule("/", "view", view, methods=["POST"])
        return app.test_client().post("/")

    return ask


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_only_a_success_lasts(case: Case, ending: Callable[..., Any], ledger: Ledger) -> None:
    assert ending(case.end).status_code == case.status
    assert ledger.notes() == (["in the view"] if case.commits else [])
    assert not ledger.has_open_transaction()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_commit_that_fails_is_never_a_success(case: Case, ending: Callable[..., Any], ledger: Ledger) -> None:
    assert ending(case.end, NOBODY).status_code == (500 if case.commits else case.status)
    assert ledger.notes() == []
    assert not ledger.has_open_transaction()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_reading_leaves_nothing_open(app: Flask, manager: ConnectionManager, ledger: Ledger, method: str) -> None:
    app.add_url_rule("/", "view", lambda: str(balance(manager)), methods=[method])
    answer = app.test_client().open("/", method=method)
    assert (answer.status_code, answer.text) == (200, "0")
    assert not ledger.has_open_transaction()


@pytest.mark.parametrize(("status", "notes"), [(401, []), (200, ["at the door"])])
def test_a_request_that_ends_before_its_view_does_so_by_its_status(
    app: Flask, manager: ConnectionManager, ledger: Ledger, status: int, notes: list[str]
) -> None:
    @app.before_request
    def deny() -> tuple[str, int]:
        write(manager, "at the door")
        return "no", status

    app.add_url_rule("/", "view", lambda: "never", methods=["POST"])
    assert app.test_client().post("/").status_code == status
    assert ledger.notes() == notes


@pytest.mark.parametrize("account", [ACCOUNT, NOBODY])
def test_a_denial_raised_before_the_view_writes_nothing(
    app: Flask, manager: ConnectionManager, ledger: Ledger, account: str
) -> None:
    @app.before_request
    def deny() -> None:
        write(manager, "at the door", account)
        abort(401)

    app.add_url_rule("/", "view", lambda: "never", methods=["POST"])
    assert app.test_client().post("/").status_code == 401
    assert ledger.notes() == []


def end_session_by_return() -> Any:
    commit_anyway()
    return "reused", 401


def end_session_by_abort() -> Any:
    commit_anyway()
    abort(401)


@pytest.mark.parametrize("end", [end_session_by_return, end_session_by_abort])
def test_an_error_can_be_committed_anyway(ending: Callable[..., Any], ledger: Ledger, end: View) -> None:
    assert ending(end).status_code == 401
    assert ledger.notes() == ["in the view"]


@pytest.mark.parametrize("end", [end_session_by_return, end_session_by_abort])
def test_what_is_committed_anyway_can_still_fail(ending: Callable[..., Any], ledger: Ledger, end: View) -> None:
    assert ending(end, NOBODY).status_code == 500
    assert ledger.notes() == []


def test_a_doomed_request_writes_nothing_and_answers_as_it_likes(ending: Callable[..., Any], ledger: Ledger) -> None:
    def doom() -> str:
        current_unit().doom()
        return "a rehearsal"

    answer = ending(doom)
    assert (answer.status_code, answer.text) == (200, "a rehearsal")
    assert ledger.notes() == []


def test_an_error_that_the_view_swallowed_has_failed_the_whole_request(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.post("/")
    def view() -> str:
        write(manager, "before")
        with pytest.raises(Exception, match="unique"):
            manager.table("accounts").insert({"id": ACCOUNT}).execute()
        return "stored"

    assert app.test_client().post("/").status_code == 500
    assert ledger.notes() == []


def test_an_unmatched_route_is_a_plain_404(app: Flask) -> None:
    assert app.test_client().post("/nowhere").status_code == 404


def test_two_outcomes_in_a_row_do_not_touch_each_other(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    @app.post("/<note>/<int:status>")
    def view(note: str, status: int) -> tuple[str, int]:
        assert request.view_args is not None
        write(manager, note)
        return note, status

    client = app.test_client()
    for path in ("/a/500", "/b/200", "/c/404", "/d/201"):
        client.post(path)
    assert ledger.notes() == ["b", "d"]
