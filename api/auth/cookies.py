"""Session cookies in responses: set, renewed and deleted."""

from __future__ import annotations

from typing import Final

from flask import Response
from flask import after_this_request
from flask import request

from auth import Grant
from auth import SessionCookies
from auth.sessions.cookies import CSRF_HEADER
from auth.sessions.cookies import csrf_token
from database import current_isthmus
from database.core.clock import utc_now

PATH: Final = "/auth"
"""The path of the refresh token's cookie: browsers send it nowhere else."""


def session_cookies() -> SessionCookies:
    """The cookies of the current app."""
    return current_isthmus()[SessionCookies]


def refresh_cookie() -> str | None:
    """The refresh token in the request's cookie; None if the request has ``Authorization``."""
    return None if "Authorization" in request.headers else request.cookies.get(session_cookies().refresh)


def check_exchange() -> None:
    """Check the CSRF token of an exchange of the refresh cookie. :raises CsrfRejected: if it is missing or wrong."""
    session_cookies().check_exchange(request.cookies, request.headers.get(CSRF_HEADER))


def session_csrf_token(grant: Grant, access_token: str) -> str:
    """The CSRF token of a session, for the access token that is issued with it."""
    return csrf_token(access_token, grant.refresh_token.text)


def set_cookies(response: Response, grant: Grant, access_token: str, expires_in: int) -> None:
    """Set the session cookies of a response.

    :param expires_in: lifetime of the access token in seconds.
    """
    names, secure = session_cookies(), session_cookies().secure
    refresh_token = grant.refresh_token.text
    lasts = int((grant.lasts_until - utc_now()).total_seconds())
    response.set_cookie(names.access, access_token, expires_in, secure=secure, httponly=True, samesite="Lax")
    response.set_cookie(
        names.refresh, refresh_token, lasts, path=_refresh_path(), secure=secure, httponly=True, samesite="Strict"
    )
    response.set_cookie(names.csrf, session_csrf_token(grant, access_token), lasts, secure=secure, samesite="Lax")


def clear_cookies() -> None:
    """Delete the session cookies with this request's response, whatever its status, if the request used cookies."""
    if "Authorization" in request.headers or "Cookie" not in request.headers:
        return

    @after_this_request
    def delete(response: Response) -> Response:
        names, secure = session_cookies(), session_cookies().secure
        response.delete_cookie(names.access, secure=secure, httponly=True, samesite="Lax")
        response.delete_cookie(names.refresh, path=_refresh_path(), secure=secure, httponly=True, samesite="Strict")
        response.delete_cookie(names.csrf, secure=secure, samesite="Lax")
        return response


def _refresh_path() -> str:
    return f"{request.script_root}{PATH}"
