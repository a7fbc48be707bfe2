"""Cookies instead of tokens in the hands of a page's scripts, and the proof that a change is the page's own wish.

A browser sends its cookies whoever makes it ask. So a change needs the CSRF token as well, as a header: only our
own page can read it from its cookie. It is made of the access token and the refresh token with which it was given
out, one half each, and checked against the one that authenticates the request: it is worth nothing in another
session, every process can check it, and it does not depend on a key that may be rotated.
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
    """The cookies of a session.

    :param secure: whether they are for HTTPS only, which their names promise then.
    :ivar access: the name of that with the access token.
    :ivar refresh: of that with the refresh token.
    :ivar csrf: of that with the CSRF token, which scripts can read.
    """

    def __init__(self, *, secure: bool) -> None:
        self.secure = secure
        self.access = "__Host-isthmus_access" if secure else "isthmus_access"
        self.refresh = "__Secure-isthmus_refresh" if secure else "isthmus_refresh"
        self.csrf = "__Host-isthmus_csrf" if secure else "isthmus_csrf"

    def check_change(self, cookies: Mapping[str, str], header: str | None) -> None:
        """Look whether a change that the access token's cookie authenticates is the page's own wish.

        :param header: that of the CSRF token. :raises CsrfRejected: if it is not.
        """
        self._check(cookies, header, _proof(_ACCESS, cookies.get(self.access, "")), 0)

    def check_exchange(self, cookies: Mapping[str, str], header: str | None) -> None:
        """Do the same for an exchange of the refresh token in the cookie."""
        self._check(cookies, header, _proof(_REFRESH, cookies.get(self.refresh, "")), 1)

    def _check(self, cookies: Mapping[str, str], header: str | None, proof: str, half: int) -> None:
        given = (header or "").encode()
        same = hmac.compare_digest(given, cookies.get(self.csrf, "").encode())
        halves = given.split(b".")
        if not same or len(halves) != 2 or not hmac.compare_digest(halves[half], proof.encode()):
            raise CsrfRejected


def csrf_token(access_token: str, refresh_token: str) -> str:
    """The CSRF token that belongs to the two; it tells nothing of them."""
    return f"{_proof(_ACCESS, access_token)}.{_proof(_REFRESH, refresh_token)}"


def without_cookies(view: View) -> View:
    """Mark a view whose caller no cookie names: one that somebody with an old cookie must be able to reach."""
    setattr(view, _MARK, True)
    return view


def ignores_cookies(view: object) -> bool:
    """Whether the view has the mark."""
    return getattr(view, _MARK, False) is True


def _proof(purpose: bytes, token: str) -> str:
    digest = hmac.digest(token.encode(), purpose, hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
