"""The routes of sessions: refresh, list, end, and password change."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

from flask import Blueprint
from flask import g
from flask import jsonify
from flask import request
from flask.typing import ResponseReturnValue

from api.auth import cookies
from api.auth.session_responses import UNCACHED
from api.auth.session_responses import accounts
from api.auth.session_responses import answer
from api.auth.session_responses import flag
from api.auth.session_responses import read_fields
from api.auth.session_responses import sessions
from auth import AccessDenied
from auth import AuthenticationFailed
from auth import SessionEnded
from auth import UnknownSession
from auth import jwt_required
from auth import sign_in_limits
from auth import without_cookies
from database import current_context
from database import current_database
from database import own_transaction
from database import transactional

blueprint = Blueprint("sessions", __name__, url_prefix=cookies.PATH)


def current_session() -> str | None:
    """The session id in the caller's token; None for a token without a session."""
    identity = current_context.get().identity
    session_id: str | None = None if identity is None else identity.claims.get("sid")
    return session_id


# Lazy: the exchange and the read of the account are transactions of their own, so the request needs none.
@blueprint.post("/refresh")
@without_cookies
@transactional(lazy=True)
def refresh() -> ResponseReturnValue:
    """Return new tokens for a refresh token in the body or in the cookie, with the present data of the account."""
    fields = read_fields("refresh_token")
    in_cookies = "refresh_token" not in fields
    try:
        return _exchange(cookies.refresh_cookie() if in_cookies else fields["refresh_token"], in_cookies=in_cookies)
    except AuthenticationFailed:
        cookies.clear_cookies()
        raise


@blueprint.post("/logout")
@jwt_required
@transactional(lazy=True)
def logout() -> ResponseReturnValue:
    """End this session, or all sessions of the caller with ``{"everywhere": true}``."""
    everywhere = flag(read_fields("everywhere"), "everywhere")
    session_id = current_session()
    if everywhere:
        sessions().end_all(g.user_id, "logout_everywhere")
    elif session_id is not None:
        # If the session has ended already, the caller has what it wants.
        with suppress(UnknownSession):
            sessions().end(session_id, g.user_id, "logout")
    else:
        raise AccessDenied('The token belongs to no session; send {"everywhere": true} to end all sessions')
    cookies.clear_cookies()
    return "", 204, UNCACHED


# In a transaction: reads without one may go to a fallback database, which may lack sessions.
@blueprint.get("/sessions")
@jwt_required
@transactional(lazy=False)
def list_sessions() -> ResponseReturnValue:
    """Return the caller's active sessions, last used first."""
    current = current_session()
    living = [asdict(session) | {"current": session.id == current} for session in sessions().list_active(g.user_id)]
    return jsonify({"data": living}), UNCACHED


@blueprint.delete("/sessions/<session_id>")
@jwt_required
@transactional(lazy=True)
def end_session(session_id: str) -> ResponseReturnValue:
    """End one of the caller's sessions."""
    sessions().end(session_id, g.user_id, "ended_by_user")
    return "", 204, UNCACHED


@blueprint.post("/password")
@jwt_required
@transactional(lazy=True)
def change_password() -> ResponseReturnValue:
    """Change the password of the caller's account, and end all other sessions of the caller."""
    fields = read_fields("current_password", "new_password")
    with sign_in_limits().sign_in(request.remote_addr, g.user_data["email"]):
        store = accounts().prepare_password_change(
            g.user_id, fields.get("current_password"), fields.get("new_password")
        )
    sessions().end_all(g.user_id, "password_change", keep=current_session(), together_with=store)
    return "", 204, UNCACHED


def _exchange(token: object, *, in_cookies: bool) -> ResponseReturnValue:
    if in_cookies and token is not None:
        cookies.check_exchange()
    grant = sessions().refresh(token)
    # In a transaction: a read without one may go to a fallback database with an outdated role.
    account = own_transaction(current_database(), lambda: accounts().get(grant.user_id))
    if account is None:
        sessions().end_all(grant.user_id, "account_gone")
        raise SessionEnded
    return answer(account, grant, in_cookies=in_cookies)
