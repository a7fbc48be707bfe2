"""``Idempotency-Key``: a request that is repeated with its key has one effect and one answer.

The key is claimed in the same unit of work as what the request changes, and its answer is stored in it just
before the commit, so that there are both or neither. Errors roll back and store nothing: the key stays free.
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
from database import as_application
from database import before_answer
from database import current_database
from database.core.clock import utc_now
from database.purging import delete_in_parts
from database.unit_of_work import current_unit

TABLE = "isthmus_idempotency_keys"
LIFETIME = timedelta(hours=24)
"""A key that is older may be used for another request, and is deleted."""

_KEY = re.compile(r"[!-~]{1,255}")
_STORED_HEADERS = ("Content-Type", "ETag", "Location")


def purge(database: Database) -> int:
    """Delete the keys that are older than ``LIFETIME``, with their answers; how many they were."""
    with as_application():
        return delete_in_parts(database, TABLE, Where("created_at", "lt", utc_now() - LIFETIME))


def idempotent(view: View) -> View:
    """Answer a repeated request with the first one's answer and ``Idempotency-Replayed: true``.

    For views that change something and are not :func:`~database.flask_scope.transactional` lazily. A
    request without the header is carried out as it is.

    :raises BadRequest: when called with a key that is not 1 to 255 visible ASCII characters.
    :raises UnprocessableEntity: when called with the key of another request.
    :raises SerializationFailure: when called while the first request cannot be waited for; a view that is carried out
        anew by :func:`~database.flask_scope.transactional` sees its answer.
    """

    @wraps(view)
    def repeatable(*args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key")
        if key is None:
            return view(*args, **kwargs)
        if _KEY.fullmatch(key) is None:
            raise BadRequest("An Idempotency-Key has 1 to 255 visible ASCII characters")
        claim_id, fingerprint = _claim_id(key), _fingerprint()
        known = _claim(claim_id, fingerprint)
        if known is not None:
            return _replayed(known, fingerprint)
        before_answer(_storing(claim_id))
        return view(*args, **kwargs)

    return repeatable


def _claim(claim_id: str, fingerprint: str) -> Row | None:
    """Claim the key; or the claim of the request that was first, which is over then."""
    try:
        return _try_to_claim(claim_id, fingerprint)
    except (ConstraintViolated, Conflict):
        # Another request claimed it at the same time and has committed: begin anew to see its answer.
        current_unit().end(success=False)
    known = _known(claim_id)
    if known is None:
        raise SerializationFailure("a request with this Idempotency-Key is under way", retry_after=1)
    return known


def _try_to_claim(claim_id: str, fingerprint: str) -> Row | None:
    known = _known(claim_id)
    if known is not None and known["created_at"] > utc_now() - LIFETIME:
        return known
    if known is not None:
        _run(Delete(TABLE, claim_id))
    _run(Insert(TABLE, [{"id": claim_id, "fingerprint": fingerprint}], returning=False))
    return None


def _known(claim_id: str) -> Row | None:
    return _run(Get(TABLE, claim_id)).first


def _replayed(known: Row, fingerprint: str) -> Response:
    if known["fingerprint"] != fingerprint:
        raise UnprocessableEntity("The Idempotency-Key was used for another request")
    response = Response(known["body"], known["status"])
    response.headers = Headers({**known["headers"], "Idempotency-Replayed": "true"})
    return response


def _storing(claim_id: str) -> Callable[[Response], None]:
    def store(response: Response) -> None:
        if response.status_code >= 400:
            return
        headers = {name: response.headers[name] for name in _STORED_HEADERS if name in response.headers}
        answer = {"status": response.status_code, "headers": headers, "body": response.get_data(as_text=True)}
        _run(Update(TABLE, answer, claim_id, returning=False))

    return store


def _run(operation: Operation) -> Result:
    with as_application():
        return current_database().run(operation)


def _claim_id(key: str) -> str:
    """One caller's key: no one else can ask for its answer. The key has no NUL, so the two cannot run together."""
    return hashlib.sha256(f"{key}\0{g.get('user_id') or ''}".encode()).hexdigest()


def _fingerprint() -> str:
    """What must be the same when a request is repeated."""
    digest = hashlib.sha256(read_bytes())
    digest.update(f"{request.method}\0{request.full_path}".encode())
    return digest.hexdigest()
