"""Sign-in and sign-up with Supabase Auth."""

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
    "signup_disabled": (PermissionDenied, "the Supabase project does not allow sign-ups"),
    "email_provider_disabled": (PermissionDenied, "the Supabase project does not allow sign-in by e-mail address"),
    "user_already_exists": (Conflict, "a user with this e-mail address exists already"),
    "email_exists": (Conflict, "a user with this e-mail address exists already"),
}


@dataclass(frozen=True, slots=True)
class SupabaseSession:
    """A user and the user's tokens.

    :ivar access_token: None until a new user has confirmed the e-mail address.
    :ivar expires_at: when the access token expires, UTC.
    """

    user_id: str
    email: str
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


class SupabaseAuth:
    """A stateless client of Supabase Auth: each call returns a session and keeps none.

    :param timeout: seconds for a call; 0 to use only the caller's own deadline.
    """

    def __init__(self, client: SupabaseClient, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    def sign_in(self, email: str, password: str) -> SupabaseSession:
        """Sign in an existing user and return the session.

        :raises PermissionDenied: if the address or the password is wrong, without saying which.
        """
        with self._calling(writes=False) as auth:
            return _session(auth.sign_in_with_password({"email": email, "password": password}))

    def sign_up(self, email: str, password: str) -> SupabaseSession:
        """Create a user; the result has tokens unless the address must be confirmed first.

        :raises Conflict: if the user exists already.
        :raises InvalidQuery: if the project does not accept the address or the password.
        """
        with self._calling(writes=True) as auth:
            return _session(auth.sign_up({"email": email, "password": password}))

    @contextmanager
    def _calling(self, *, writes: bool) -> Iterator[SupabaseAuthClient]:
        context = current_context.get()
        if self._timeout:
            context = context.until(monotonic() + self._timeout)
        key = self._client.keys.public
        # A new client for each call, because it keeps the session and would act as this user from then on.
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
        raise InvalidQuery("Supabase Auth returned no user")
    if session is None:
        return SupabaseSession(user.id, user.email or "")
    expires_at = None if session.expires_at is None else datetime.fromtimestamp(session.expires_at, UTC)
    return SupabaseSession(user.id, user.email or "", session.access_token, session.refresh_token, expires_at)


def _translated(error: AuthError, answer: Exchange) -> DataError:
    if error.code in _REFUSED:
        kind, message = _REFUSED[error.code]
        return kind(message)
    if not answer.status:
        return InvalidQuery("the e-mail address or the password is missing")
    if isinstance(error, AuthApiError) and 400 <= answer.status < 500 and answer.status not in {401, 403, 429}:
        return InvalidQuery(f"Supabase Auth refused the request ({error.code or answer.status})")
    return by_status(answer)
