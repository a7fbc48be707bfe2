"""Error responses: ``application/problem+json`` (RFC 9457) for every error.

``type`` is ``urn:isthmus:problem:`` and a stable name, or ``about:blank`` if the status is enough. ``instance``
identifies the occurrence. For an unexpected error, the log has the details under the same ``instance``.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from dataclasses import field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from flask import Flask
from flask import Response
from flask import current_app
from flask import g
from flask import request
from uuid_utils import uuid7
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import InternalServerError

from api.http.preconditions import is_conditional
from auth import AuthError
from auth import InvalidRegistration
from database.core import errors
from storage import StorageCapacityError
from storage import StorageCorruptError
from stores import WrongStep

logger = logging.getLogger(__name__)

MIMETYPE = "application/problem+json"
BLANK = "about:blank"

_URN = "urn:isthmus:problem:"

_KINDS: dict[type[errors.DataError], tuple[int, str, str]] = {
    errors.NotFound: (404, "not-found", "There is no such table, record, store, entry or evaluation"),
    errors.Conflict: (409, "conflict", "Another request has changed the data"),
    errors.SerializationFailure: (409, "conflict", "Another request has changed the data"),
    WrongStep: (409, "wrong-step", "The status must not follow the present one"),
    errors.ConstraintViolated: (409, "constraint-violated", "The change violates a constraint"),
    errors.InvalidRow: (422, "invalid-row", "A row is not valid for its table"),
    errors.InvalidQuery: (400, "invalid-query", "The query is not valid"),
    errors.SeveralRows: (400, "several-rows", "The query selects several records, but must select one"),
    errors.Unsupported: (400, "unsupported", "The database does not support this"),
    errors.PermissionDenied: (403, "permission-denied", "The access rules do not allow this"),
    errors.TransactionError: (409, "transaction-failed", "The transaction has failed"),
    errors.OutcomeUnknown: (503, "outcome-unknown", "The change may or may not have been made"),
    errors.Throttled: (503, "throttled", "The database is busy"),
    errors.TimedOut: (503, "timed-out", "The database did not answer in time"),
    errors.BackendError: (503, "unavailable", "The database is not available"),
    errors.UnreadableRecord: (500, "unreadable-record", "A stored record cannot be read"),
    StorageCapacityError: (413, "too-large", "The value is larger than the store takes"),
    StorageCorruptError: (500, "unreadable-entry", "A stored entry cannot be read"),
    errors.DataError: (500, "data-error", "The data layer failed"),
}
"""Status, name and title by error class; the most specific class of an error applies."""

_WRONG_BY_ITSELF = (errors.ConstraintKind.NOT_NULL, errors.ConstraintKind.CHECK)
"""Constraints that reject a row whatever other rows exist; their status is 422 instead of 409."""


_OURS_ALONE = (errors.ConnectFailed, errors.CredentialsRefused)
"""Errors that name hosts and settings. Clients get a general message, and the log has the details."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem document.

    :ivar type: a URI for the kind of problem.
    :ivar members: extension members, in addition to those of RFC 9457.
    """

    status: int
    type: str
    title: str
    detail: str | None = None
    members: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)

    def response(self, instance: str | None = None) -> Response:
        """The HTTP response.

        :param instance: a URI for this occurrence; a new one by default.
        """
        document = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail is not None:
            document["detail"] = self.detail
        document |= {"instance": instance or new_instance(), **self.members}
        body = current_app.json.dumps(document)
        return Response(body, self.status, self.headers, content_type=MIMETYPE)


def init_app(app: Flask) -> None:
    """Register error handlers that respond to every error of ``app`` with a problem document."""
    app.register_error_handler(errors.DataError, lambda error: problem_of(error).response())
    app.register_error_handler(AuthError, _refused)
    # A mistake in the program: clients get a 500 without details.
    app.register_error_handler(errors.CallerMissing, _unexpected)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def new_instance() -> str:
    """A URI for one occurrence of a problem."""
    return f"urn:uuid:{uuid7()}"


def problem_of(error: errors.DataError | AuthError) -> Problem:
    """The problem document of an error of the data layer or of authentication."""
    if isinstance(error, AuthError):
        return _auth_problem(error)
    unconditional = isinstance(error, errors.SerializationFailure | WrongStep)
    if isinstance(error, errors.Conflict) and not unconditional and is_conditional():
        return Problem(412, BLANK, HTTPStatus(412).phrase, error.message)
    status, name, title = next(_KINDS[kind] for kind in type(error).__mro__ if kind in _KINDS)
    if isinstance(error, errors.ConstraintViolated) and error.kind in _WRONG_BY_ITSELF:
        status = 422
    return Problem(status, _URN + name, title, _detail(error), _members(error), _headers(error))


def _detail(error: errors.DataError) -> str:
    if not isinstance(error, _OURS_ALONE):
        return error.message
    logger.error("%s: %s", error.backend or "a database", error.message)
    return "the database cannot be reached; the server's log has the reason"


def _auth_problem(error: AuthError) -> Problem:
    members = {}
    if isinstance(error, InvalidRegistration):
        members["errors"] = [{"pointer": f"#/{error.field}", "detail": error.message}]
    name = error.code.replace("_", "-")
    return Problem(error.status, _URN + name, HTTPStatus(error.status).phrase, error.message, members, error.headers)


def _members(error: errors.DataError) -> dict[str, Any]:
    if isinstance(error, WrongStep):
        return {"before": error.before, "after": error.after}
    if isinstance(error, errors.BackendError):
        return {"outcome": error.outcome.value}
    if isinstance(error, errors.UnreadableRecord):
        return {"table": error.table, "id": error.record_id, "column": error.column}
    if isinstance(error, errors.InvalidRow):
        return {"errors": [_row_error(error.row, error.column, error.message)]}
    if isinstance(error, errors.ConstraintViolated) and error.row is not None:
        return {"errors": [_row_error(error.row, None, error.message)]}
    return {}


def _row_error(row: int, column: str | None, detail: str) -> dict[str, Any]:
    """An entry of ``errors``: the position in the body as ``row``, from 1, and as a JSON pointer in a URI fragment."""
    steps = [str(row)] if g.get("isthmus_bulk") else []
    if column is not None:
        steps.append(column.replace("~", "~0").replace("/", "~1"))
    pointer = "".join(f"/{quote(step, safe='~')}" for step in steps)
    return {"row": row + 1, "column": column, "pointer": f"#{pointer}", "detail": detail}


def _headers(error: errors.DataError) -> dict[str, str]:
    if not isinstance(error, errors.BackendError | errors.SerializationFailure) and error.retry_after is None:
        return {}
    return {"Retry-After": str(max(1, math.ceil(error.retry_after or 1)))}


def _refused(error: AuthError) -> Response:
    # Quoted, because the path comes from the client and must not add lines to the log.
    logger.info("refused %s %s from %s: %s", request.method, quote(request.path), request.remote_addr, error.message)
    return problem_of(error).response()


def _http_error(error: HTTPException) -> Response:
    original = error.original_exception if isinstance(error, InternalServerError) else None
    if isinstance(original, errors.DataError | AuthError):
        # A hook after the view raised it; Flask has logged it.
        return problem_of(original).response()
    status = error.code or 500
    headers = {name: value for name, value in error.get_headers() if name != "Content-Type"}
    return Problem(status, BLANK, error.name, error.description, headers=headers).response()


def _unexpected(error: Exception) -> Response:
    instance = new_instance()
    logger.error("unexpected error %s in %s %s", instance, request.method, request.path, exc_info=error)
    return Problem(500, BLANK, HTTPStatus(500).phrase).response(instance)
