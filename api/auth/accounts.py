"""The routes of accounts: registration, sign-in, and the signed-in account."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from flask import Blueprint
from flask import Flask
from flask import g
from flask import jsonify
from flask import request
from flask.typing import ResponseReturnValue

from api.auth import cookies
from api.auth import sessions
from api.auth.session_responses import UNCACHED
from api.auth.session_responses import accounts
from api.auth.session_responses import begin_session
from api.auth.session_responses import flag
from api.auth.session_responses import read_fields
from api.auth.session_responses import shown
from auth import Accounts
from auth import AuthBridge
from auth import SessionCookies
from auth import Sessions
from auth import UnknownAccount
from auth import jwt_required
from auth import middleware
from auth import sign_in
from auth import sign_in_limits
from auth import without_cookies
from auth.sessions.revocation import Revocation
from config.settings import Settings
from database import ConnectionManager
from database import Isthmus
from database import transactional
from database.resilience.repetition import ATTEMPTS

if TYPE_CHECKING:
    from auth.sign_in.bearer_tokens import BearerTokens

blueprint = Blueprint("auth", __name__, url_prefix=cookies.PATH)


def init_app(
    app: Flask, manager: ConnectionManager, bridge: AuthBridge, hasher: PasswordHasher | None = None
) -> Revocation:
    """Identify the callers of ``app``, and set up its accounts and sessions in ``manager``'s databases.

    Without ``AUTH_ACCOUNTS`` there are no routes to sign in.

    :param hasher: see :class:`~auth.sign_in.accounts.Accounts`.
    :returns: the list of ended sessions.
    """
    settings = manager.settings
    revocation = Revocation(
        manager,
        token_life=timedelta(seconds=bridge.expiry),
        policy=settings.auth_revocation_policy,
        max_stale=settings.auth_revocation_max_stale_seconds,
    )
    isthmus = Isthmus.of(app)
    isthmus[SessionCookies] = SessionCookies(secure=settings.auth_cookie_secure)
    # With the thread that hashes, passwords occupy at most half of the threads.
    isthmus[Accounts] = Accounts(manager, hasher, most_waiting=max(0, settings.threads // 2 - 1))
    isthmus[Sessions] = Sessions(
        manager,
        idle=timedelta(seconds=settings.auth_session_idle_seconds),
        lifetime=timedelta(seconds=settings.auth_session_seconds),
        on_end=revocation.add,
    )
    middleware.init_app(
        app, bridge, revocation=revocation, cookies=isthmus[SessionCookies], bearer=_bearer_tokens(settings)
    )
    if settings.auth_accounts:
        app.register_blueprint(blueprint)
        app.register_blueprint(sessions.blueprint)
    return revocation


def _bearer_tokens(settings: Settings) -> BearerTokens | None:
    """The verifier of external issuers' access tokens; None, without loading it, if no issuer is set."""
    if not settings.auth_foreign_issuers:
        return None
    return sign_in.bearer_tokens.bearer_tokens(settings.auth_foreign_issuers, settings.jwt_issuer)


# Lazy: hashing a password is slow by design, and must not hold the write lock.
@blueprint.post("/register")
@without_cookies
@transactional(lazy=True, attempts=ATTEMPTS)
def register() -> ResponseReturnValue:
    """Create an account and sign it in."""
    fields = read_fields("email", "password", "name", "cookies")
    in_cookies = flag(fields, "cookies")
    sign_in_limits().register(request.remote_addr)
    account = accounts().register(fields.get("email"), fields.get("password"), fields.get("name"))
    return begin_session(account, status=201, in_cookies=in_cookies)


@blueprint.post("/login")
@without_cookies
@transactional(lazy=True, attempts=ATTEMPTS)
def login() -> ResponseReturnValue:
    """Start a session with an e-mail address and a password."""
    fields = read_fields("email", "password", "cookies")
    in_cookies = flag(fields, "cookies")
    with sign_in_limits().sign_in(request.remote_addr, fields.get("email")):
        account = accounts().authenticate(fields.get("email"), fields.get("password"))
    return begin_session(account, in_cookies=in_cookies)


@blueprint.get("/me")
@jwt_required
@transactional(lazy=True)
def me() -> ResponseReturnValue:
    """Return the present account of the caller."""
    account = accounts().get(g.user_id)
    if account is None:
        raise UnknownAccount
    return jsonify(shown(account)), UNCACHED
