"""PostgREST's answers as errors of the data layer: by its own codes, by PostgreSQL's, and by the HTTP status."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import orjson
from postgrest.exceptions import APIError

from database.backends.postgres.sqlstates import error_for
from database.backends.postgres.sqlstates import violation
from database.backends.supabase.transport import Exchange
from database.core.errors import CredentialsRefused
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import PermissionDenied
from database.core.errors import SchemaMismatch
from database.core.errors import SerializationFailure
from database.core.errors import Throttled
from database.core.errors import Unavailable
from database.core.errors import lost_answer
from database.http.headers import retry_after

_TOO_MANY = 429
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
_TOTAL = re.compile(r"\*/(\d+)")

_NOT_ACCEPTED = (
    "the Supabase project does not accept the caller's token; docs/supabase.md says how it is made to trust this "
    "application's keys"
)
_MIGRATE = "its migrations are not up to date, or PostgREST has not reloaded its schema"

_POSTGREST: Mapping[str, tuple[type[DataError], str]] = {
    "PGRST000": (Unavailable, "PostgREST cannot connect to the database"),
    "PGRST002": (Unavailable, "PostgREST has not read the database's schema yet"),
    "PGRST003": (Unavailable, "PostgREST had no free connection to the database in time"),
    "PGRST106": (SchemaMismatch, "the project's API does not expose the schema"),
    "PGRST204": (SchemaMismatch, f"the database lacks a column; {_MIGRATE}"),
    "PGRST205": (SchemaMismatch, f"the database lacks a table; {_MIGRATE}"),
    "PGRST301": (PermissionDenied, _NOT_ACCEPTED),
    "PGRST302": (PermissionDenied, "the Supabase project does not admit callers without a token"),
    "PGRST303": (PermissionDenied, _NOT_ACCEPTED),
}

_NOT_APPLIED_STATUSES: Mapping[int, tuple[type[DataError], str]] = {
    403: (PermissionDenied, "the Supabase project refuses this"),
    413: (InvalidQuery, "the request is too large for the project"),
    414: (InvalidQuery, "the request's URL is too long for the project"),
}

OWN_FUNCTION = "isthmus_"
"""What the names of the functions begin with that the data layer itself installs and calls."""


class PastTheEnd(InvalidQuery):
    """A page behind the last row was asked for together with the count.

    :param total: the number of rows, which is less than the page's offset.
    """

    def __init__(self, total: int) -> None:
        super().__init__("the page lies behind the last row")
        self.total = total


def translated(error: APIError, answer: Exchange, function: str | None = None) -> DataError:
    """The data layer's error for one of PostgREST's; the caller raises it ``from`` the original.

    :param function: the function that was called, if one was.
    """
    code = error.code or ""
    if answer.status == _TOO_MANY:
        return by_status(answer)
    if code == "PGRST202":
        return _missing_function(function or "")
    if code == "PGRST103" and (total := _TOTAL.fullmatch(answer.headers.get("content-range", ""))):
        return PastTheEnd(int(total[1]))
    if code in _POSTGREST:
        kind, message = _POSTGREST[code]
        return kind(message, retry_after=_wait(answer))
    if code.startswith("PGRST"):
        return _other(code, error, answer)
    if _SQLSTATE.fullmatch(code):
        return _from_database(code, error, answer)
    return by_status(answer)


def by_status(answer: Exchange) -> DataError:
    """The error for an answer that PostgREST did not write, or that tells no more than its status."""
    status = answer.status
    if status == 401:
        return CredentialsRefused("the Supabase project refuses the API key in SUPABASE_KEY or SUPABASE_ANON_KEY")
    if status == _TOO_MANY:
        return Throttled("the Supabase project asked to slow down", retry_after=_wait(answer))
    if status in _NOT_APPLIED_STATUSES:
        kind, message = _NOT_APPLIED_STATUSES[status]
        return kind(message)
    return _failed(answer, "the project's gateway failed") if status >= 500 else garbled(answer)


def garbled(answer: Exchange) -> DataError:
    """The error for an answer that is none: a gateway's page, a redirect, JSON of another shape."""
    return _failed(answer, "what came back is not the Supabase project's answer")


def _failed(answer: Exchange, text: str) -> DataError:
    reason = f"{text} (HTTP status {answer.status})"
    return lost_answer(reason, reads=not answer.writes, retry_after=_wait(answer))


def _wait(answer: Exchange) -> float | None:
    """The seconds after which the project wants to be asked again, if it says so."""
    return retry_after(answer.headers.get("retry-after"))


def _missing_function(function: str) -> DataError:
    if function.startswith(OWN_FUNCTION):
        return SchemaMismatch(f"the database lacks the function {function}; `flask db supabase-sql` prints it")
    return NotFound(f"there is no function {function[:64]!r} with these arguments")


def _other(code: str, error: APIError, answer: Exchange) -> DataError:
    """A code of PostgREST that says no more than whose fault it is."""
    if answer.status >= 500:
        return _failed(answer, f"PostgREST failed ({code})")
    return InvalidQuery(f"PostgREST refused the request ({code}): {error.message}")


def _from_database(code: str, error: APIError, answer: Exchange) -> DataError:
    detail = _detail(error)
    if code in _COMMIT:
        return _COMMIT[code](detail)
    if code.startswith("23"):
        return violation(code, _constraint(detail), detail.get("step"))
    ours = error_for(code, may_have_applied=answer.writes)
    return ours or InvalidQuery(f"PostgreSQL refused the statement: {error.message}")


_COMMIT: Mapping[str, Callable[[Mapping[str, Any]], DataError]] = {
    "IS409": lambda detail: SerializationFailure(
        f"a record of {detail.get('table')} was changed meanwhile; run this again"
    ),
    "IS422": lambda _: InvalidQuery("the key of this commit was used for another one"),
}
"""What ``isthmus_commit`` raises."""


def _constraint(detail: Mapping[str, Any]) -> str | None:
    if detail.get("constraint"):
        return str(detail["constraint"])
    return ".".join(filter(None, (detail.get("table"), detail.get("column")))) or None


def _detail(error: APIError) -> Mapping[str, Any]:
    """The object in an error's DETAIL; empty for the text that PostgreSQL itself writes there."""
    if not isinstance(error.details, str):
        return error.details if isinstance(error.details, dict) else {}
    try:
        detail = orjson.loads(error.details)
    except orjson.JSONDecodeError:
        return {}
    return detail if isinstance(detail, dict) else {}
