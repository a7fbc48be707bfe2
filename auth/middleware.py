"""Identifies the caller of each request from its token, for the views and for the data layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from typing import Any
from typing import NamedTuple

from flask import Flask
from flask import request
from flask.globals import app_ctx
from flask.typing import ResponseReturnValue

from auth.bridge import AuthBridge
from auth.claims import Claims
from auth.claims import convex_identity
from auth.claims import user_data
from auth.errors import AuthenticationFailed
from auth.errors import AuthError
from auth.sessions.cookies import CSRF_HEADER
from auth.sessions.cookies import SessionCookies
from auth.sessions.cookies import ignores_cookies
from auth.sessions.revocation import Revocation
from database.core.context import ANONYMOUS
from database.core.context import Identity
from database.extension import Isthmus
from database.flask_scope import SAFE_METHODS
from database.flask_scope import identify_by

if TYPE_CHECKING:
    from auth.sign_in.bearer_tokens import BearerTokens


class _Caller(NamedTuple):
    """The caller of a request; the fields have the names that views read from ``flask.g``."""

    user_id: str | None = None
    user_data: dict[str, Any] | None = None
    convex_identity: dict[str, Any] | None = None
    convex_token: str | None = None
    identity: Identity = ANONYMOUS


_NOBODY = _Caller()


def init_app(
    app: Flask,
    bridge: AuthBridge,
    *,
    revocation: Revocation | None = None,
    cookies: SessionCookies | None = None,
    bearer: BearerTokens | None = None,
) -> None:
    """Identify the caller of every request of ``app``.

    Before any other hook it sets ``g.user_id``, ``g.user_data`` (``email``, ``role``, ``name``, ``permissions``),
    ``g.convex_identity`` and ``g.convex_token``, all None without a token, and the identity in the data layer's
    context. It stores the bridge in :class:`~database.extension.Isthmus`.

    A request with an invalid token or another kind of ``Authorization`` is never anonymous: it raises
    :class:`~auth.errors.AuthenticationFailed`. If the application has no error handler for
    :class:`~auth.errors.AuthError`, the response is JSON with the code and the message.

    :param revocation: refuses tokens of ended sessions; without it, sessions are not checked.
    :param cookies: the cookies with the token of requests without ``Authorization``; without it, cookies are ignored.
    :param bearer: accepts the access tokens of external issuers in ``Authorization``; without it, only our own are
        accepted.
    :raises RuntimeError: if it has already been called for this app.
    """
    isthmus = Isthmus.of(app)
    if AuthBridge in isthmus:
        raise RuntimeError("auth is already set up for this app; call init_app once")
    isthmus[AuthBridge] = bridge

    reader = None if cookies is None else _CookieReader(app, cookies)
    identify_by(app, _identifying(bridge, revocation, reader, bearer))
    if AuthError not in app.error_handler_spec[None][None]:
        app.register_error_handler(AuthError, _refused)


def _refused(error: AuthError) -> ResponseReturnValue:
    return {"code": error.code, "message": error.message}, error.status, error.headers


class _CookieReader:
    """Reads the token of a request without ``Authorization`` from its cookies."""

    def __init__(self, app: Flask, cookies: SessionCookies) -> None:
        self._views = app.view_functions
        self._cookies = cookies

    def token(self) -> str | None:
        """The access token, if the request has one and its view accepts cookies."""
        if self._cookies.access not in request.environ["HTTP_COOKIE"]:
            return None
        if ignores_cookies(self._views.get(request.endpoint or "")):
            return None
        return request.cookies.get(self._cookies.access) or None

    def check(self) -> None:
        """Check the CSRF token of a changing request. :raises CsrfRejected: if it is missing or wrong."""
        if request.method not in SAFE_METHODS:
            self._cookies.check_change(request.cookies, request.headers.get(CSRF_HEADER))


def _identifying(
    bridge: AuthBridge, revocation: Revocation | None, cookies: _CookieReader | None, bearer: BearerTokens | None
) -> Callable[[], Identity]:
    """A function that identifies the caller of the current request, or raises."""

    def verify(token: str) -> Claims:
        claims = bridge.verify(token)
        if revocation is not None and (session_id := claims.get("sid")) is not None:
            revocation.check(session_id, request.method)
        return claims

    def verify_any(token: str) -> Claims:
        assert bearer is not None
        # Sessions of an external issuer are not known here, so there is no list of ended ones.
        claims = bearer.verify(token)
        return verify(token) if claims is None else claims

    verify_bearer = verify if bearer is None else verify_any

    def find_caller() -> _Caller:
        environ = request.environ
        authorization = environ.get("HTTP_AUTHORIZATION")
        if authorization is not None:
            token = _bearer_token(authorization)
            return _caller(verify_bearer(token), token)
        if cookies is not None and "HTTP_COOKIE" in environ and (cookie := cookies.token()) is not None:
            claims = verify(cookie)
            cookies.check()
            return _caller(claims, cookie)
        return _NOBODY

    def identify() -> Identity:
        caller = _NOBODY
        try:
            caller = find_caller()
        finally:
            # Also if the token is refused: an error handler may read these.
            values = app_ctx.g
            values.user_id, values.user_data, values.convex_identity, values.convex_token, _ = caller
        return caller.identity

    return identify


def _bearer_token(authorization: str) -> str:
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise AuthenticationFailed("The Authorization header must have the form: Bearer <token>")
    return token.strip(" ")


def _caller(claims: Claims, token: str) -> _Caller:
    subject = claims["sub"]
    identity = Identity(subject, "authenticated", claims, token)
    user = user_data(claims)
    return _Caller(subject, user, convex_identity(claims, token, user), token, identity)
