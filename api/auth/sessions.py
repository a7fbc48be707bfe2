"""Sessions over HTTP: refreshed, listed, and ended."""

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
    """The id of the session that the caller's token belongs to, if it belongs to one."""
    identity = current_context.get().identity
    session_id: str | None = None if identity is None else identity.claims.get("sid")
    return session_id


# The exchange and the look at the account are transactions of their own, so the request needs none.
@blueprint.post("/refresh")
@without_cookies
@transactional(lazy=True)
def refresh() -> ResponseReturnValue:
    """New tokens for a refresh token, from the body or else from the cookie; the account as it is now."""
    fields = read_fields("refresh_token")
    in_cookies = "refresh_token" not in fields
    try:
        return _refreshed(cookies.refresh_cookie() if in_cookies else fields["refresh_token"], in_cookies=in_cookies)
    except AuthenticationFailed:
        cookies.clear_cookies()
        raise


@blueprint.post("/logout")
@jwt_required
@transactional(lazy=True)
def logout() -> ResponseReturnValue:
    """End this session, or with ``{"everywhere": true}`` all of the caller's."""
    everywhere = flag(read_fields("everywhere"), "everywhere")
    session_id = current_session()
    if everywhere:
        sessions().end_all(g.user_id, "logout_everywhere")
    elif session_id is not None:
        # That it is over already is what the caller wants.
        with suppress(UnknownSession):
            sessions().end(session_id, g.user_id, "logout")
    else:
        raise AccessDenied("This token belongs to no session")
    cookies.clear_cookies()
    return "", 204, UNCACHED


# In a transaction: another database that answers reads may not know of all sessions.
@blueprint.get("/sessions")
@jwt_required
@transactional(lazy=False)
def list_sessions() -> ResponseReturnValue:
    """The caller's sessions that are not over, the last used one first."""
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
    """Another password for the caller's account; of the caller's sessions only this one goes on."""
    fields = read_fields("current_password", "new_password")
    with sign_in_limits().sign_in(request.remote_addr, g.user_data["email"]):
        store = accounts().prepare_password_change(
            g.user_id, fields.get("current_password"), fields.get("new_password")
        )
    sessions().end_all(g.user_id, "password_change", keep=current_session(), together_with=store)
    return "", 204, UNCACHED


def _refreshed(token: object, *, in_cookies: bool) -> ResponseReturnValue:
    if in_cookies and token is not None:
        cookies.check_exchange()
    grant = sessions().refresh(token)
    # Where the role is written, not where an older one may be read.
    account = own_transaction(current_database(), lambda: accounts().get(grant.user_id))
    if account is None:
        sessions().end_all(grant.user_id, "account_gone")
        raise SessionEnded
    return answer(account, grant, in_cookies=in_cookies)
