"""Signing in and up with Supabase Auth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from datetime import UTC
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from supabase import AuthApiError
from supabase import AuthError
from supabase import SupabaseAuthClient

from database.backends.supabase.client import SupabaseClient
from database.backends.supabase.errors import by_status
from database.backends.supabase.errors import garbled
from database.backends.supabase.transport import Exchange
from database.backends.supabase.transport import exchange
from database.core.clock import monotonic
from database.core.context import current_context
from database.core.errors import Conflict
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied

_REFUSED: dict[str, tuple[type[DataError], str]] = {
    "invalid_credentials": (PermissionDenied, "the e-mail address or the password is wrong"),
    "email_not_confirmed": (PermissionDenied, "the e-mail address is not confirmed yet"),
    "user_banned": (PermissionDenied, "the user is banned"),
    "signup_disabled": (PermissionDenied, "the project admits no new users"),
    "email_provider_disabled": (PermissionDenied, "the project admits no users by e-mail address"),
    "user_already_exists": (Conflict, "there is a user with this e-mail address"),
    "email_exists": (Conflict, "there is a user with this e-mail address"),
}


@dataclass(frozen=True, slots=True)
class SupabaseSession:
    """A user and what they may show for it.

    :ivar access_token: None until a new user has confirmed the e-mail address.
    :ivar expires_at: when the access token ends, UTC.
    """

    user_id: str
    email: str
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


class SupabaseAuth:
    """Supabase Auth without a session of its own: each call returns one and forgets it.

    :param timeout: seconds for a call; 0 leaves the caller's own deadline alone.
    """

    def __init__(self, client: SupabaseClient, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    def sign_in(self, email: str, password: str) -> SupabaseSession:
        """A session for an existing user.

        :raises PermissionDenied: if the address or the password is wrong; it does not say which.
        """
        with self._calling(writes=False) as auth:
            return _session(auth.sign_in_with_password({"email": email, "password": password}))

    def sign_up(self, email: str, password: str) -> SupabaseSession:
        """A new user, with a session unless the address has to be confirmed first.

        :raises Conflict: if there is such a user.
        :raises InvalidQuery: if the address or the password does not satisfy the project.
        """
        with self._calling(writes=True) as auth:
            return _session(auth.sign_up({"email": email, "password": password}))

    @contextmanager
    def _calling(self, *, writes: bool) -> Iterator[SupabaseAuthClient]:
        context = current_context.get()
        if self._timeout:
            context = context.until(monotonic() + self._timeout)
        key = self._client.keys.public
        # One for each call: it keeps the session, and would speak for this user from then on.
        auth = SupabaseAuthClient(
            url=self._client.auth_url,
            headers={"apikey": key, "Authorization": f"Bearer {key}"},
            auto_refresh_token=False,
            persist_session=False,
            http_client=self._client.http,
        )
        with exchange(context.deadline, writes=writes) as answer:
            try:
                yield auth
            except AuthError as error:
                raise _translated(error, answer) from error
            except ValidationError as error:
                raise garbled(answer) from error


def _session(response: Any) -> SupabaseSession:
    user, session = response.user, response.session
    if user is None:
        raise InvalidQuery("Supabase Auth answered without a user")
    if session is None:
        return SupabaseSession(user.id, user.email or "")
    expires_at = None if session.expires_at is None else datetime.fromtimestamp(session.expires_at, UTC)
    return SupabaseSession(user.id, user.email or "", session.access_token, session.refresh_token, expires_at)


def _translated(error: AuthError, answer: Exchange) -> DataError:
    if error.code in _REFUSED:
        kind, message = _REFUSED[error.code]
        return kind(message)
    if not answer.status:
        return InvalidQuery("Supabase Auth needs an e-mail address and a password")
    if isinstance(error, AuthApiError) and 400 <= answer.status < 500 and answer.status not in {401, 403, 429}:
        return InvalidQuery(f"Supabase Auth refused the request ({error.code or answer.status})")
    return by_status(answer)
