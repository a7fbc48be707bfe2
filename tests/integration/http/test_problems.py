"""Every error is a problem document: the right status, what helps the caller, and nothing that is not his to know."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask import g

from api.http import problem
from api.http.json import OrjsonProvider
from auth.errors import AuthError
from auth.errors import EmailTaken
from auth.errors import InvalidRegistration
from auth.errors import InvalidToken
from database.core import errors
from database.core.errors import ConstraintKind
from tests.integration.http.support import Site
from tests.integration.http.support import assert_problem

ERRORS: list[tuple[errors.DataError | AuthError, int, str]] = [
    (errors.NotFound("x"), 404, "not-found"),
    (errors.Conflict("x"), 409, "conflict"),
    (errors.SerializationFailure("x"), 409, "conflict"),
    (errors.ConstraintViolated("x"), 409, "constraint-violated"),
    (errors.ConstraintViolated("x", kind=ConstraintKind.UNIQUE), 409, "constraint-violated"),
    (errors.ConstraintViolated("x", kind=ConstraintKind.FOREIGN_KEY), 409, "constraint-violated"),
    (errors.ConstraintViolated("x", kind=ConstraintKind.NOT_NULL), 422, "constraint-violated"),
    (errors.ConstraintViolated("x", kind=ConstraintKind.CHECK), 422, "constraint-violated"),
    (errors.InvalidRow("x", row=0, column="a"), 422, "invalid-row"),
    (errors.InvalidQuery("x"), 400, "invalid-query"),
    (errors.SeveralRows("x"), 400, "several-rows"),
    (errors.Unsupported("sql"), 400, "unsupported"),
    (errors.PermissionDenied("x"), 403, "permission-denied"),
    (errors.TransactionError("x"), 409, "transaction-failed"),
    (errors.Unavailable("x"), 503, "unavailable"),
    (errors.CircuitOpen("x"), 503, "unavailable"),
    (errors.ConnectFailed("nothing listens at a.example:1"), 503, "unavailable"),
    (errors.CredentialsRefused("a.example refuses SOME_PASSWORD"), 503, "unavailable"),
    (errors.PoolExhausted("x"), 503, "unavailable"),
    (errors.TimedOut("x"), 503, "timed-out"),
    (errors.OutcomeUnknown("x"), 503, "outcome-unknown"),
    (errors.Throttled("x"), 503, "throttled"),
    (errors.SchemaMismatch("x"), 503, "unavailable"),
    (errors.DataError("x"), 500, "data-error"),
    (InvalidToken("x"), 401, "invalid-token"),
    (EmailTaken(), 409, "email-taken"),
    (InvalidRegistration("email", "x"), 422, "invalid-registration"),
]


def failing(error: Exception) -> Flask:
    """An app whose only view raises."""
    app = Flask(__name__)
    app.json = OrjsonProvider(app)
    problem.init_app(app)

    @app.get("/")
    def view() -> str:
        raise error

    return app


@pytest.mark.parametrize(("error", "status", "name"), ERRORS, ids=lambda value: getattr(value, "__name__", str(value)))
def test_errors_have_their_status_and_type(
    error: Any, status: int, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = failing(error).test_client().get("/")
    document = assert_problem(answer, status, name)
    # These name hosts and settings, which are for the log.
    kept = isinstance(error, errors.ConnectFailed | errors.CredentialsRefused)
    general = "the database cannot be reached; the server's log has the reason"
    assert document["detail"] == (general if kept else error.message)
    assert not kept or error.message in caplog.text
    if status == 503:
        assert int(answer.headers["Retry-After"]) >= 1
        assert document["outcome"] == ("unknown" if name == "outcome-unknown" else "not_applied")


def test_every_error_of_the_tree_has_its_own_line() -> None:
    def leaves(kind: type[errors.DataError]) -> set[type[errors.DataError]]:
        return {kind}.union(*(leaves(child) for child in kind.__subclasses__()))

    for kind in leaves(errors.RequestError) - {errors.RequestError}:
        if kind.__module__ == errors.__name__:
            assert kind in problem._KINDS, kind


def test_the_wait_that_a_backend_asks_for_is_passed_on() -> None:
    answer = failing(errors.CircuitOpen("x", retry_after=7.2)).test_client().get("/")
    assert answer.headers["Retry-After"] == "8"


def test_a_conflict_under_a_condition_is_a_failed_precondition() -> None:
    answer = failing(errors.Conflict("x")).test_client().get("/", headers={"If-Match": '"1"'})
    assert_problem(answer, 412)


def test_a_lost_race_is_to_be_run_again_whatever_the_condition() -> None:
    answer = failing(errors.SerializationFailure("x")).test_client().get("/", headers={"If-Match": '"1"'})
    assert_problem(answer, 409)
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize(("column", "pointer"), [("a/b~c", "#/4/a~1b~0c"), ("ü %", "#/4/%C3%BC%20%25"), (None, "#/4")])
def test_pointers_are_escaped(column: str | None, pointer: str) -> None:
    app = failing(errors.InvalidRow("x", row=4, column=column))

    @app.before_request
    def in_a_batch() -> None:
        g.isthmus_bulk = True

    (error,) = assert_problem(app.test_client().get("/"), 422)["errors"]
    assert (error["row"], error["pointer"]) == (5, pointer)


def test_an_unexpected_error_shows_nothing_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    answer = failing(ValueError("password=hunter2")).test_client().get("/")
    document = assert_problem(answer, 500)
    assert "hunter2" not in answer.text
    assert "ValueError" not in answer.text
    assert document["instance"] in caplog.text
    assert "hunter2" in caplog.text


def test_an_error_of_a_hook_after_the_view_is_one_too(sqlite_site: Site) -> None:
    @sqlite_site.app.after_request
    def fail(_: Any) -> Any:
        raise errors.OutcomeUnknown("the connection was lost")

    assert_problem(sqlite_site.get("/livez"), 503, "outcome-unknown")


def test_what_flask_refuses_is_one_too(sqlite_site: Site) -> None:
    assert_problem(sqlite_site.get("/nowhere"), 404)
    answer = sqlite_site.call("DELETE", "/livez")
    assert_problem(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


BODIES: list[tuple[bytes, str, int]] = [
    (b"name=x", "application/x-www-form-urlencoded", 415),
    (b'{"name": "x"}', "text/plain", 415),
    (b'{"name": "x"}', "", 415),
    (b'{"name": "x"}', "application/json; charset=utf-16", 415),
    (b'{"name": "x"}', "application/json; charset=latin-1", 415),
    (b"", "application/json", 400),
    (b'{"name": "x"', "application/json", 400),
    (b'{"name": "x"} ,', "application/json", 400),
    (b'{"name": NaN}', "application/json", 400),
    (b'{"name": "\xff"}', "application/json", 400),
    (b'{"name": "\\ud800"}', "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b'{"a":' * 2000 + b"1" + b"}" * 2000, "application/json", 400),
    (b'"name"', "application/json", 400),
    (b"null", "application/json", 400),
    (b"[1]", "application/json", 422),
    (b'{"name": "x", "properties": ' + b"[" * 65 + b"]" * 65 + b"}", "application/json", 422),
    (b'{"name": "x", "properties": 9223372036854775808}', "application/json", 422),
    (b" " * (1 << 20) + b"{}", "application/json", 413),
]


@pytest.mark.parametrize("keyed", [{}, {"Idempotency-Key": "k"}])
@pytest.mark.parametrize("coding", ["gzip", "GZIP, identity", "br", "identity, deflate"])
def test_a_coded_body_is_not_taken_for_a_plain_one(sqlite_site: Site, coding: str, keyed: dict[str, str]) -> None:
    headers = {**sqlite_site.register(), **keyed, "Content-Encoding": coding}
    assert_problem(sqlite_site.post("/api/molecules", {"name": "x"}, headers), 415)
    assert sqlite_site.names() == []


@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", '"Utf-8"'])
def test_utf_8_may_be_named(sqlite_site: Site, charset: str) -> None:
    content = {"Content-Type": f"application/json; charset={charset}", "Content-Encoding": "Identity"}
    headers = {**sqlite_site.register(), **content}
    assert sqlite_site.call("POST", "/api/molecules", headers=headers, data=b'{"name": "x"}').status_code == 201


@pytest.mark.parametrize(("body", "content_type", "status"), BODIES, ids=[str(number) for number in range(len(BODIES))])
def test_bodies_are_read_strictly(sqlite_site: Site, body: bytes, content_type: str, status: int) -> None:
    headers = {**sqlite_site.register(), "Content-Type": content_type}
    assert_problem(sqlite_site.call("POST", "/api/molecules", headers=headers, data=body), status)
    assert sqlite_site.names() == []
