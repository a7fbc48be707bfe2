"""Hooks and resources of an app around the commit and after it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from flask import Flask
from flask import Response
from flask.typing import ResponseReturnValue

from database.connection_manager import ConnectionManager
from database.core.errors import TimedOut
from database.core.errors import TransactionError
from database.flask_scope import before_answer
from database.unit_of_work import after_commit
from database.unit_of_work import after_rollback
from database.unit_of_work import before_commit
from database.unit_of_work import commit_anyway
from database.unit_of_work import current_unit
from database.unit_of_work import join
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import NOBODY
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import balance
from tests.integration.transactions.ledger import write

View = Callable[[], ResponseReturnValue]


def crash() -> None:
    raise ValueError("a bug in a hook")


def post(app: Flask, view: View) -> int:
    app.add_url_rule("/", "view", view, methods=["POST"])
    return app.test_client().post("/").status_code


def test_hooks_run_in_order_on_their_side_of_the_commit(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    seen: list[tuple[str, list[str]]] = []

    def note(name: str) -> Callable[[], None]:
        return lambda: seen.append((name, ledger.notes()))

    def view() -> str:
        write(manager, "x")
        after_commit(note("after 1"))
        before_commit(note("before 1"))
        before_commit(note("before 2"))
        after_commit(note("after 2"))
        return "ok"

    assert post(app, view) == 200
    assert seen == [("before 1", []), ("before 2", []), ("after 1", ["x"]), ("after 2", ["x"])]


def test_what_a_hook_writes_before_the_commit_belongs_to_it(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    def view() -> str:
        before_commit(lambda: write(manager, "by the hook"))
        return "ok"

    assert post(app, view) == 200
    assert ledger.notes() == ["by the hook"]


def test_a_hook_that_fails_before_the_commit_prevents_it(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    later: list[str] = []

    def view() -> str:
        write(manager, "x")
        before_commit(crash)
        after_commit(lambda: later.append("after"))
        return "ok"

    assert post(app, view) == 500
    assert ledger.notes() == []
    assert later == []
    assert not ledger.has_open_transaction()


def test_a_hook_that_fails_after_the_commit_is_logged_and_changes_nothing(
    app: Flask, manager: ConnectionManager, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    later: list[str] = []

    def view() -> str:
        write(manager, "x")
        after_commit(crash)
        after_commit(lambda: later.append("the next hook"))
        return "ok"

    with caplog.at_level(logging.ERROR, "database.unit_of_work"):
        assert post(app, view) == 200
    assert ledger.notes() == ["x"]
    assert later == ["the next hook"]
    assert "a bug in a hook" in caplog.text


@pytest.mark.parametrize("status", [200, 422])
def test_after_a_commit_that_failed_or_never_came_no_hook_runs(
    app: Flask, manager: ConnectionManager, status: int
) -> None:
    later: list[str] = []

    def view() -> tuple[str, int]:
        write(manager, "x", NOBODY)
        after_commit(lambda: later.append("after"))
        return "", status

    assert post(app, view) == (500 if status == 200 else 422)
    assert later == []


def test_after_the_commit_a_hook_reads_and_has_transactions_of_its_own_but_writes_nothing_in_passing(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    def hook() -> None:
        assert balance(manager) == 1
        assert not ledger.has_open_transaction()
        with pytest.raises(TransactionError, match="already ended"):
            write(manager, "in passing")
        with manager.transaction():
            write(manager, "on its own")

    def view() -> str:
        write(manager, "x")
        after_commit(hook)
        return "ok"

    assert post(app, view) == 200
    assert ledger.notes() == ["on its own", "x"]


@pytest.mark.parametrize(("status", "notes"), [(200, ["audit", "view"]), (404, [])])
def test_an_after_request_hook_that_writes_has_a_unit_of_its_own(
    app: Flask, manager: ConnectionManager, ledger: Ledger, status: int, notes: list[str]
) -> None:
    @app.after_request
    def audit(response: Response) -> Response:
        assert "view" in ledger.notes() or response.status_code != 200
        write(manager, "audit")
        assert "audit" not in ledger.notes()
        return response

    def view() -> tuple[str, int]:
        write(manager, "view")
        return "", status

    assert post(app, view) == status
    assert ledger.notes() == notes


def test_a_failed_commit_of_an_after_request_hook_is_a_500(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.after_request
    def audit(response: Response) -> Response:
        write(manager, "audit", NOBODY)
        return response

    assert post(app, lambda: "ok") == 500
    assert ledger.notes() == []
    assert not ledger.has_open_transaction()


@pytest.mark.parametrize("account", [ACCOUNT, NOBODY])
def test_a_hook_that_fails_after_the_commit_of_the_view_does_not_deny_it(
    api: Flask, manager: ConnectionManager, ledger: Ledger, account: str
) -> None:
    @api.after_request
    def audit(response: Response) -> Response:
        if response.status_code == 200:
            write(manager, "audit", account)
            if account == ACCOUNT:
                raise TimedOut("too late")
        return response

    @api.post("/")
    def view() -> str:
        write(manager, "view")
        return "ok"

    answer = api.test_client().post("/")
    assert (answer.status_code, answer.get_json()["outcome"]) == (503, "unknown")
    assert ledger.notes() == ["view"]


def test_an_error_handler_may_keep_a_record_of_the_error(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    @app.errorhandler(ZeroDivisionError)
    def record(_: ZeroDivisionError) -> tuple[str, int]:
        write(manager, "division by zero")
        commit_anyway()
        return "", 500

    def view() -> str:
        write(manager, "view")
        return str(1 // 0)

    assert post(app, view) == 500
    assert ledger.notes() == ["division by zero"]


def test_in_teardown_a_write_is_refused_and_undone(app: Flask, manager: ConnectionManager, ledger: Ledger) -> None:
    refused: list[BaseException] = []

    @app.teardown_request
    def late(_: BaseException | None) -> None:
        with pytest.raises(TransactionError) as caught:
            write(manager, "late")
        refused.append(caught.value)

    def view() -> str:
        write(manager, "view")
        return "ok"

    assert post(app, view) == 200
    assert len(refused) == 1
    assert ledger.notes() == ["view"]


def test_the_finished_answer_can_be_stored_with_what_it_speaks_of(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    def store(answer: Response) -> None:
        assert ledger.notes() == []
        write(manager, f"{answer.status_code} {answer.get_data(as_text=True)}")

    def view() -> tuple[str, int]:
        before_answer(store)
        return "made", 201

    assert post(app, view) == 201
    assert ledger.notes() == ["201 made"]


def test_outside_a_request_there_is_no_unit() -> None:
    with pytest.raises(TransactionError, match="no unit of work"):
        current_unit()


# After a rollback, and resources


class Noted:
    """A resource that records its calls."""

    def __init__(self, name: str, notes: list[str], fails: str = "") -> None:
        self._name = name
        self._notes = notes
        self._fails = fails

    def prepare(self) -> None:
        self._note("prepare")

    def commit(self) -> None:
        self._note("commit")

    def rollback(self) -> None:
        self._note("rollback")

    def _note(self, what: str) -> None:
        self._notes.append(f"{what} {self._name}")
        if what == self._fails:
            raise ZeroDivisionError


def joining(notes: list[str], *fails: str) -> None:
    """Join the resources ``a`` and ``b``, and record their calls."""
    join(Noted("a", notes, *fails))
    join(Noted("b", notes))
    before_commit(lambda: notes.append("before"))
    after_commit(lambda: notes.append("after commit"))
    after_rollback(lambda: notes.append("after rollback"))


COMMITTED = ["before", "prepare b", "prepare a", "commit b", "commit a", "after commit"]
ROLLED_BACK = ["rollback b", "rollback a", "after rollback"]


@pytest.mark.parametrize(
    ("status", "fails", "expected", "rows", "answer"),
    [
        (200, (), COMMITTED, ["x"], 200),
        (422, (), ROLLED_BACK, [], 422),
        (200, ("prepare",), [*COMMITTED[:3], *ROLLED_BACK], [], 500),
        (200, ("commit",), COMMITTED, ["x"], 200),
        (422, ("rollback",), ROLLED_BACK, [], 422),
    ],
)
def test_resources_follow_the_transaction(
    app: Flask,
    manager: ConnectionManager,
    ledger: Ledger,
    status: int,
    fails: tuple[str, ...],
    expected: list[str],
    rows: list[str],
    answer: int,
) -> None:
    notes: list[str] = []

    def view() -> tuple[str, int]:
        joining(notes, *fails)
        write(manager, "x")
        return "", status

    assert post(app, view) == answer
    assert notes == expected
    assert ledger.notes() == rows


def test_resources_of_a_commit_that_failed_are_rolled_back(
    app: Flask, manager: ConnectionManager, ledger: Ledger
) -> None:
    notes: list[str] = []

    def view() -> str:
        joining(notes)
        write(manager, "x")
        before_commit(crash)
        return ""

    assert post(app, view) == 500
    assert notes == ["before", *ROLLED_BACK]
    assert ledger.notes() == []


def test_a_unit_that_is_over_takes_no_resource(app: Flask) -> None:
    refused: list[Exception] = []

    @app.teardown_request
    def late(_: BaseException | None) -> None:
        try:
            join(Noted("late", []))
        except TransactionError as error:
            refused.append(error)

    assert post(app, lambda: "") == 200
    assert len(refused) == 1
