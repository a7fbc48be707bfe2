"""``Idempotency-Key``: a repeated request with the same key has one effect and gets the same response.

The request's unit of work stores the key before the changes, and the response just before the commit. So changes and
response are stored both or neither. An error rolls back and stores nothing, and the key can be used again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from typing import Any

from flask import Response
from flask import g
from flask import request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import BadRequest
from werkzeug.exceptions import UnprocessableEntity

from api.http.bodies import read_bytes
from api.records.table_access import View
from database import Conflict
from database import ConstraintViolated
from database import Database
from database import Delete
from database import Get
from database import Insert
from database import Operation
from database import Result
from database import Row
from database import SerializationFailure
from database import Update
from database import Where
from database import after_commit
from database import as_application
from database import before_answer
from database import current_database
from database.core.clock import utc_now
from database.purging import delete_in_parts
from database.unit_of_work import apart
from database.unit_of_work import current_unit

TABLE = "isthmus_idempotency_keys"
LIFETIME = timedelta(hours=24)
"""How long a key is kept; after that it may be used for another request."""

_KEY = re.compile(r"[!-~]{1,255}")
_STORED_HEADERS = ("Content-Type", "ETag", "Location")


def purge(database: Database) -> int:
    """Delete the keys that are older than ``LIFETIME``, with their responses, and return their number."""
    with as_application():
        return delete_in_parts(database, TABLE, Where("created_at", "lt", utc_now() - LIFETIME))


def idempotent(view: View) -> View:
    """Respond to a repeated request with the response of the first one and ``Idempotency-Replayed: true``.

    For views that change something and are not ``transactional(lazy=True)``. Requests without the header are not
    affected.

    :raises BadRequest: if the key is not 1 to 255 visible ASCII characters.
    :raises UnprocessableEntity: if the key was used for another request.
    :raises SerializationFailure: if the first request has not committed yet. A view that
        :func:`~database.flask_scope.transactional` retries then finds its response.
    """

    @wraps(view)
    def repeatable(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return view(*args, **kwargs)
        if _KEY.fullmatch(key) is None:
            raise BadRequest("Idempotency-Key must have 1 to 255 visible ASCII characters")
        claim_id, fingerprint = _claim_id(key), _fingerprint()
        known = _claim(claim_id, fingerprint)
        if known is not None:
            return _replayed(known, fingerprint)
        before_answer(_store_response(claim_id))
        return view(*args, **kwargs)

    return repeatable


def _claim(claim_id: str, fingerprint: str) -> Row | None:
    """Claim the key and return None, or return the claim of an earlier request, which has committed."""
    try:
        return _try_to_claim(claim_id, fingerprint)
    except (ConstraintViolated, Conflict):
        # A concurrent request claimed the key and has committed: start a new transaction to read its response.
        current_unit().end(success=False)
    known = _read_claim(claim_id)
    if known is None:
        message = "another request with this Idempotency-Key is in progress; retry later"
        raise SerializationFailure(message, retry_after=1)
    return known


def _try_to_claim(claim_id: str, fingerprint: str) -> Row | None:
    known = _read_claim(claim_id)
    if known is not None and known["created_at"] > utc_now() - LIFETIME:
        return known
    if known is not None:
        _run(Delete(TABLE, claim_id))
    _run(Insert(TABLE, [{"id": claim_id, "fingerprint": fingerprint}], returning=False))
    return None


def _read_claim(claim_id: str) -> Row | None:
    return _run(Get(TABLE, claim_id)).first


def _replayed(known: Row, fingerprint: str) -> Response:
    if known["fingerprint"] != fingerprint:
        raise UnprocessableEntity("The Idempotency-Key was used for another request; use a new key")
    response = Response(known["body"], known["status"])
    response.headers = Headers({**known["headers"], "Idempotency-Replayed": "true"})
    return response


def _store_response(claim_id: str) -> Callable[[Response], None]:
    def store(response: Response) -> None:
        if response.status_code >= 400:
            return
        answer = _answer(response)
        _run(Update(TABLE, answer, claim_id, returning=False))
        after_commit(lambda: _store_again(claim_id, answer, response))

    return store


def _answer(response: Response) -> Row:
    headers = {name: response.headers[name] for name in _STORED_HEADERS if name in response.headers}
    return {"status": response.status_code, "headers": headers, "body": response.get_data(as_text=True)}


def _store_again(claim_id: str, stored: Row, response: Response) -> None:
    """Store a response again that the commit has changed, because the database has stored something else."""
    answer = _answer(response)
    if answer != stored:
        with apart():
            current_database().run(Update(TABLE, answer, claim_id, returning=False))


def _run(operation: Operation) -> Result:
    with as_application():
        return current_database().run(operation)


def _claim_id(key: str) -> str:
    """A hash of key and caller, so that nobody else gets the response. The key has no NUL, so the two stay separate."""
    return hashlib.sha256(f"{key}\0{g.get('user_id') or ''}".encode()).hexdigest()


def _fingerprint() -> str:
    """A hash of everything that must be equal in a repeated request."""
    digest = hashlib.sha256(read_bytes())
    digest.update(f"{request.method}\0{request.full_path}".encode())
    return digest.hexdigest()
