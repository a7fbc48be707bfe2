"""Which error each answer of a project becomes."""

from __future__ import annotations

from typing import Any

import httpx
import orjson
import pytest
from postgrest.exceptions import APIError

from database.backends.supabase.errors import PastTheEnd
from database.backends.supabase.errors import by_status
from database.backends.supabase.errors import translated
from database.backends.supabase.transport import Exchange
from database.core.errors import Conflict
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import CredentialsRefused
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import Outcome
from database.core.errors import OutcomeUnknown
from database.core.errors import PermissionDenied
from database.core.errors import SchemaMismatch
from database.core.errors import SerializationFailure
from database.core.errors import Stopped
from database.core.errors import Throttled
from database.core.errors import Unavailable


def error(code: str | None, details: Any = None) -> APIError:
    return APIError({"code": code, "message": "in their words", "details": details, "hint": None})


def answer(status: int, *, writes: bool = False, **headers: str) -> Exchange:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Exchange(writes=writes, status=status, headers=httpx.Headers(named))


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("PGRST000", 503, Unavailable),
        ("PGRST002", 503, Unavailable),
        ("PGRST003", 504, Unavailable),
        ("PGRST100", 400, InvalidQuery),
        ("PGRST106", 406, SchemaMismatch),
        ("PGRST202", 404, NotFound),
        ("PGRST204", 400, SchemaMismatch),
        ("PGRST205", 404, SchemaMismatch),
        ("PGRST301", 401, PermissionDenied),
        ("PGRST303", 401, PermissionDenied),
        ("42501", 401, PermissionDenied),
        ("42501", 403, PermissionDenied),
        ("42P01", 404, SchemaMismatch),
        ("42703", 400, SchemaMismatch),
        ("22P02", 400, InvalidQuery),
        ("40001", 500, SerializationFailure),
        ("57014", 500, Stopped),
        ("53300", 503, Throttled),
        ("53400", 500, Unavailable),
        ("P0001", 400, InvalidQuery),
        (None, 401, CredentialsRefused),
        (None, 403, PermissionDenied),
        ("413", 413, InvalidQuery),
        ("414", 414, InvalidQuery),
        ("429", 429, Throttled),
        (None, 429, Throttled),
    ],
)
@pytest.mark.parametrize("writes", [False, True], ids=["reading", "writing"])
def test_a_refusal_applied_nothing(code: str | None, status: int, kind: type[DataError], writes: bool) -> None:
    ours = translated(error(code), answer(status, writes=writes))
    assert type(ours) is kind
    assert ours.outcome is Outcome.NOT_APPLIED


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("PGRST001", 503),
        ("PGRSTX00", 500),
        ("08006", 503),
        ("57P01", 503),
        ("SUP", 500),
        ("302", 302),
        ("404", 404),
        ("502", 502),
        ("504", 504),
        ("522", 522),
    ],
)
def test_a_failure_leaves_a_write_in_doubt(code: str, status: int) -> None:
    assert type(translated(error(code), answer(status))) is Unavailable
    assert type(translated(error(code), answer(status, writes=True))) is OutcomeUnknown


def test_a_refused_key_names_the_setting_and_is_not_tried_again() -> None:
    refused = by_status(answer(401))
    assert isinstance(refused, CredentialsRefused)
    assert not refused.retryable
    assert "SUPABASE_KEY" in refused.message


def test_a_refused_token_says_what_to_do() -> None:
    assert "docs/supabase.md" in translated(error("PGRST301"), answer(401)).message


def test_a_missing_function_of_our_own_says_how_to_install_it() -> None:
    ours = translated(error("PGRST202"), answer(404, writes=True), "isthmus_commit")
    assert isinstance(ours, SchemaMismatch)
    assert "flask db supabase-sql" in ours.message
    assert ours.outcome is Outcome.NOT_APPLIED


def test_throttling_says_for_how_long() -> None:
    assert translated(error(None), answer(429, retry_after="7")).retry_after == 7
    assert translated(error(None), answer(429)).retry_after is None


def test_a_page_behind_the_last_row_knows_their_number() -> None:
    past = translated(error("PGRST103"), answer(416, content_range="*/3"))
    assert isinstance(past, PastTheEnd)
    assert past.total == 3


@pytest.mark.parametrize(
    ("code", "detail", "kind", "constraint", "row"),
    [
        ("23505", {"step": 2, "constraint": "uq", "table": "t"}, ConstraintKind.UNIQUE, "uq", 2),
        ("23503", {"step": 0, "table": "t", "column": "c"}, ConstraintKind.FOREIGN_KEY, "t.c", 0),
        ("23502", {"column": "c", "constraint": None, "step": None}, ConstraintKind.NOT_NULL, "c", None),
        ("23514", {}, ConstraintKind.CHECK, None, None),
        ("23P01", {"constraint": "ex"}, None, "ex", None),
    ],
)
def test_constraints_by_the_step_that_broke_them(
    code: str, detail: dict[str, Any], kind: ConstraintKind | None, constraint: str | None, row: int | None
) -> None:
    ours = translated(error(code, orjson.dumps(detail).decode()), answer(409, writes=True))
    assert isinstance(ours, ConstraintViolated)
    assert (ours.kind, ours.constraint, ours.row) == (kind, constraint, row)


@pytest.mark.parametrize("details", [None, "Key (email)=(a@b.c) already exists.", "[1]", "null", 7])
def test_details_that_are_not_ours_say_nothing(details: Any) -> None:
    ours = translated(error("23505", details), answer(409))
    assert isinstance(ours, ConstraintViolated)
    assert "a@b.c" not in ours.message
    assert (ours.constraint, ours.row) == (None, None)


def test_what_a_commit_refuses() -> None:
    stale = translated(error("IS409", '{"table": "things", "id": "a"}'), answer(400, writes=True))
    assert isinstance(stale, Conflict)
    assert "things" in stale.message
    assert type(translated(error("IS422", "{}"), answer(400, writes=True))) is InvalidQuery
