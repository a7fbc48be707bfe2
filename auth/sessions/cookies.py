"""Session cookies, which keep tokens away from a page's scripts, and CSRF protection for requests that use them.

A browser sends cookies with every request, even if another site caused it. A change therefore also needs the CSRF
token in a header, and only our own page can read that token from its cookie. One half of the CSRF token is derived from
the access token, the other half from the refresh token that was issued with it. The half of the token that
authenticates the request is checked. So the CSRF token is useless in another session, every process can check it, and
it does not depend on a key that may be rotated.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final
from typing import TypeVar

from auth.errors import CsrfRejected

CSRF_HEADER: Final = "X-CSRF-Token"

_MARK: Final = "isthmus_without_cookies"
_ACCESS: Final = b"isthmus: changes with this access token"
_REFRESH: Final = b"isthmus: exchanges of this refresh token"

View = TypeVar("View", bound=Callable[..., Any])


class SessionCookies:
    """Names of the session cookies, and checks of the CSRF token.

    :param secure: whether browsers send them over HTTPS only; adds the prefixes ``__Host-`` and ``__Secure-``.
    :ivar access: name of the cookie with the access token.
    :ivar refresh: name of the cookie with the refresh token.
    :ivar csrf: name of the cookie with the CSRF token, which scripts can read.
    """

    def __init__(self, *, secure: bool) -> None:
        self.secure = secure
        self.access = "__Host-isthmus_access" if secure else "isthmus_access"
        self.refresh = "__Secure-isthmus_refresh" if secure else "isthmus_refresh"
        self.csrf = "__Host-isthmus_csrf" if secure else "isthmus_csrf"

    def check_change(self, cookies: Mapping[str, str], header: str | None) -> None:
        """Check the CSRF token of a change that the access token's cookie authenticates.

        :param header: value of the header ``X-CSRF-Token``.
        :raises CsrfRejected: if it is missing or wrong.
        """
        self._check(cookies, header, _proof(_ACCESS, cookies.get(self.access, "")), 0)

    def check_exchange(self, cookies: Mapping[str, str], header: str | None) -> None:
        """Check the CSRF token of an exchange of the refresh token in its cookie. See :meth:`check_change`."""
        self._check(cookies, header, _proof(_REFRESH, cookies.get(self.refresh, "")), 1)

    def _check(self, cookies: Mapping[str, str], header: str | None, proof: str, half: int) -> None:
        given = (header or "").encode()
        same = hmac.compare_digest(given, cookies.get(self.csrf, "").encode())
        halves = given.split(b".")
        if not same or len(halves) != 2 or not hmac.compare_digest(halves[half], proof.encode()):
            raise CsrfRejected


def csrf_token(access_token: str, refresh_token: str) -> str:
    """The CSRF token of an access token and a refresh token. Neither can be derived from it."""
    return f"{_proof(_ACCESS, access_token)}.{_proof(_REFRESH, refresh_token)}"


def without_cookies(view: View) -> View:
    """Mark a view that ignores session cookies, so that a client with an outdated cookie can reach it."""
    setattr(view, _MARK, True)
    return view


def ignores_cookies(view: object) -> bool:
    """Whether :func:`without_cookies` has marked the view."""
    return getattr(view, _MARK, False) is True


def _proof(purpose: bytes, token: str) -> str:
    digest = hmac.digest(token.encode(), purpose, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
