"""Maps PostgREST's error responses to the data layer's errors: by its own codes, PostgreSQL's, and the HTTP status."""

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
from database.core.query.targets import dropped
from database.http.headers import retry_after

_TOO_MANY = 429
_SQLSTATE = re.compile(r"[0-9A-Z]{5}")
_TOTAL = re.compile(r"\*/(\d+)")

_NOT_ACCEPTED = (
    "the Supabase project rejected the caller's token; docs/supabase.md describes how to make it trust this "
    "application's keys"
)
_MIGRATE = "run its migrations (flask db upgrade), or reload PostgREST's schema cache"

_POSTGREST: Mapping[str, tuple[type[DataError], str]] = {
    "PGRST000": (Unavailable, "PostgREST cannot connect to the database"),
    "PGRST002": (Unavailable, "PostgREST has not loaded the database's schema yet"),
    "PGRST003": (Unavailable, "PostgREST had no free connection to the database in time"),
    "PGRST106": (SchemaMismatch, "the Supabase project's API does not expose the schema; add it in the API settings"),
    "PGRST204": (SchemaMismatch, f"the database lacks a column; {_MIGRATE}"),
    "PGRST205": (SchemaMismatch, f"the database lacks a table; {_MIGRATE}"),
    "PGRST301": (PermissionDenied, _NOT_ACCEPTED),
    "PGRST302": (PermissionDenied, "the Supabase project does not allow requests without a token"),
    "PGRST303": (PermissionDenied, _NOT_ACCEPTED),
}

_DROPPED: Mapping[Any, str] = {
    "isthmus_dropped_insert": "did not store the record",
    "isthmus_dropped_update": "did not make the change",
    "isthmus_dropped_delete": "did not make the change",
}
"""What ``isthmus_commit`` names instead of a constraint where a trigger or a rule has dropped a record."""

_NOT_APPLIED_STATUSES: Mapping[int, tuple[type[DataError], str]] = {
    403: (PermissionDenied, "the Supabase project does not permit this operation"),
    413: (InvalidQuery, "the request body exceeds the Supabase project's size limit"),
    414: (InvalidQuery, "the request's URL exceeds the Supabase project's length limit"),
}

OWN_FUNCTION = "isthmus_"
"""Prefix of the names of the functions that the data layer installs and calls."""


class PastTheEnd(InvalidQuery):
    """A page after the last row was requested together with the count.

    :param total: the number of rows, which is less than the page's offset.
    """

    def __init__(self, total: int) -> None:
        super().__init__("the offset is greater than the number of rows")
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
    """The error for a response that is not from PostgREST or has no more information than its status."""
    status = answer.status
    if status == 401:
        return CredentialsRefused("the Supabase project rejected the API key; check SUPABASE_KEY and SUPABASE_ANON_KEY")
    if status == _TOO_MANY:
        return Throttled("the Supabase project limits the request rate; retry later", retry_after=_wait(answer))
    if status in _NOT_APPLIED_STATUSES:
        kind, message = _NOT_APPLIED_STATUSES[status]
        return kind(message)
    return _failed(answer, "the project's gateway failed") if status >= 500 else garbled(answer)


def garbled(answer: Exchange) -> DataError:
    """The error for an unexpected response: a gateway's page, a redirect, JSON of another shape."""
    return _failed(answer, "the response does not have the Supabase API's format")


def _failed(answer: Exchange, text: str) -> DataError:
    reason = f"{text} (HTTP status {answer.status})"
    return lost_answer(reason, reads=not answer.writes, retry_after=_wait(answer))


def _wait(answer: Exchange) -> float | None:
    """The seconds of the response's ``Retry-After`` header, if any."""
    return retry_after(answer.headers.get("retry-after"))


def _missing_function(function: str) -> DataError:
    if function.startswith(OWN_FUNCTION):
        return SchemaMismatch(
            f"the database lacks the function {function}; run `flask db upgrade` on it, or the output of"
            " `flask db supabase-sql` in the project"
        )
    return NotFound(f"the database has no function {function[:64]!r} with these arguments")


def _other(code: str, error: APIError, answer: Exchange) -> DataError:
    """The error for any other code of PostgREST."""
    if answer.status >= 500:
        return _failed(answer, f"PostgREST failed ({code})")
    return InvalidQuery(f"PostgREST refused the request ({code}): {error.message}")


def _from_database(code: str, error: APIError, answer: Exchange) -> DataError:
    detail = _detail(error)
    if code in _COMMIT:
        return _COMMIT[code](detail)
    if problem := _DROPPED.get(detail.get("constraint")):
        return dropped(str(detail.get("table")), problem, detail.get("step"))
    if code.startswith("23"):
        return violation(code, _constraint(detail), detail.get("step"))
    ours = error_for(code, may_have_applied=answer.writes)
    return ours or InvalidQuery(f"PostgreSQL refused the statement: {error.message}")


_COMMIT: Mapping[str, Callable[[Mapping[str, Any]], DataError]] = {
    "IS409": lambda detail: SerializationFailure(
        f"another transaction changed rows of table {detail.get('table')!r} that this one has read; run it again"
    ),
    "IS424": lambda detail: InvalidQuery(
        f"no sequence numbers the records of table {detail.get('table')!r}; give the key with each record"
    ),
    "IS422": lambda _: InvalidQuery("the commit's idempotency key was already used for a different commit"),
}
"""Errors that Isthmus' own functions raise."""


def _constraint(detail: Mapping[str, Any]) -> str | None:
    if detail.get("constraint"):
        return str(detail["constraint"])
    return ".".join(filter(None, (detail.get("table"), detail.get("column")))) or None


def _detail(error: APIError) -> Mapping[str, Any]:
    """The JSON object in an error's DETAIL; empty if DETAIL is PostgreSQL's own text."""
    if not isinstance(error.details, str):
        return error.details if isinstance(error.details, dict) else {}
    try:
        detail = orjson.loads(error.details)
    except orjson.JSONDecodeError:
        return {}
    return detail if isinstance(detail, dict) else {}
