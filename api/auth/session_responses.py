"""Shared by all ways to sign in: starting a session, and the response with its tokens."""

from __future__ import annotations

from typing import Any
from typing import Final

from flask import Response
from flask import jsonify
from flask import request

from api.auth import cookies
from api.http.bodies import read_object
from auth import Account
from auth import Accounts
from auth import AuthBridge
from auth import Grant
from auth import InvalidRegistration
from auth import Sessions
from database import current_isthmus

UNCACHED: Final = {"Cache-Control": "no-store"}


def accounts() -> Accounts:
    """The accounts of the current app."""
    return current_isthmus()[Accounts]


def sessions() -> Sessions:
    """The sessions of the current app."""
    return current_isthmus()[Sessions]


def read_fields(*names: str) -> dict[str, Any]:
    """The request's body. Other fields are errors, so that no client believes that a ``role`` was granted.

    :raises HTTPException: as :func:`~api.http.bodies.read_object`.
    :raises InvalidRegistration: for another field; names it.
    """
    body = read_object()
    unknown = next((name for name in body if name not in names), None)
    if unknown is not None:
        raise InvalidRegistration(unknown[:64], f"Unknown field; allowed fields are {', '.join(names)}")
    return body


def flag(fields: dict[str, Any], name: str) -> bool:
    """The value of a boolean field, false by default. :raises InvalidRegistration: for another type."""
    value = fields.get(name, False)
    if not isinstance(value, bool):
        raise InvalidRegistration(name, f"Field {name!r} must be true or false")
    return value


def begin_session(account: Account, *, status: int = 200, in_cookies: bool = False) -> Response:
    """Start a session for ``account``, and return :func:`answer`.

    The session is always a new one, against session fixation. A session in the request's cookies ends.
    """
    grant = sessions().begin(account.id, request.user_agent.string, replacing=cookies.refresh_cookie())
    return answer(account, grant, status=status, in_cookies=in_cookies)


def answer(account: Account, grant: Grant, *, status: int = 200, in_cookies: bool = False) -> Response:
    """The response with the session's tokens in the body, or in cookies with the CSRF token in the body."""
    bridge = current_isthmus()[AuthBridge]
    token = bridge.generate_token(account.id, account.user_data, session_id=grant.session_id)
    document = {"token_type": "Bearer", "expires_in": bridge.expiry, "user": shown(account)}
    if in_cookies:
        response = jsonify(document | {"csrf_token": cookies.session_csrf_token(grant, token)})
        cookies.set_cookies(response, grant, token, bridge.expiry)
    else:
        response = jsonify({"access_token": token, "refresh_token": grant.refresh_token.text, **document})
    response.status_code = status
    response.headers.update(UNCACHED)
    return response


def shown(account: Account) -> dict[str, Any]:
    """The account in responses to its owner."""
    return {"id": account.id, **account.user_data}
