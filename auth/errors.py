"""Every error of identity, in one tree; each knows the HTTP status it deserves.

::

    AuthError
    ├── AuthenticationFailed    401  who asks is not known
    │   ├── InvalidToken        401  a token was sent, and it is not to be believed
    │   └── InvalidCredentials  401  wrong e-mail or password, without saying which
    ├── AccessDenied            403  who asks is known, and may not
    ├── EmailNotVerified        403  another issuer does not vouch for the address
    ├── UnknownAccount          404
    ├── EmailTaken              409
    ├── InvalidRegistration     422  names the field at fault
    ├── TooManyAttempts         429  says when to try again
    ├── SignInBusy              429  too many passwords are verified at this moment
    └── IssuerUnavailable       503  another issuer's keys cannot be had

    ConfigurationError
    └── KeyConfigurationError        the signing key is missing, weak or unreadable

    RotationRefused                  the signing key cannot be changed now, or not by this application

Messages are safe to show: they hold no token, password, key or e-mail address.
"""

from __future__ import annotations

from typing import ClassVar

from config.settings import ConfigurationError


class KeyConfigurationError(ConfigurationError):
    """The signing key cannot be used.

    :param setting: the setting to change.
    :param advice: what is wrong with it, and what to do.
    """

    def __init__(self, setting: str, advice: str) -> None:
        super().__init__({setting: advice})


class RotationRefused(Exception):
    """The signing key cannot be changed now, or not by this application; the message says why, to an operator."""


class AuthError(Exception):
    """Base of the tree.

    :ivar status: the HTTP status to answer with.
    :ivar code: a short name of the error for programs.
    :ivar message: for people.
    """

    status: ClassVar[int] = 400
    code: str = "auth_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def headers(self) -> dict[str, str]:
        """Headers that belong to the answer."""
        return {}


class AuthenticationFailed(AuthError):
    """Who asks is not known.

    :param code: ``unauthorized``, or a more exact name.
    """

    status = 401

    def __init__(self, message: str = "Authentication required", *, code: str = "unauthorized") -> None:
        super().__init__(message)
        self.code = code

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class InvalidToken(AuthenticationFailed):
    """A token was sent that is not to be believed.

    :param reason: why, as a fixed phrase that repeats nothing of the token.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"Invalid token: {reason}", code="invalid_token")
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{self.reason}"'}


class InvalidCredentials(AuthenticationFailed):
    """The e-mail and password belong to no account; which of them is wrong stays unsaid."""

    def __init__(self) -> None:
        super().__init__("Wrong e-mail or password", code="invalid_credentials")


class InvalidRefreshToken(AuthenticationFailed):
    """No session goes on with this refresh token."""

    def __init__(self) -> None:
        super().__init__("This is not a refresh token of a session", code="invalid_refresh_token")


class SessionEnded(AuthenticationFailed):
    """The session is over for good; sign in anew."""

    def __init__(self) -> None:
        super().__init__("The session has ended", code="session_ended")


class SessionExpired(AuthenticationFailed):
    """The session was not used for too long, or has lasted its time; sign in anew."""

    def __init__(self) -> None:
        super().__init__("The session has expired", code="session_expired")


class AccessDenied(AuthError):
    """Who asks is known, and lacks the role or the permission."""

    status = 403
    code = "forbidden"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


class CsrfRejected(AuthError):
    """A change was asked for with cookies, and without the proof that our own page asks for it."""

    status = 403
    code = "csrf"

    def __init__(self) -> None:
        super().__init__("With cookies, a change needs the header X-CSRF-Token with the value of the CSRF cookie")


class UnknownAccount(AuthError):
    """There is no such account."""

    status = 404
    code = "unknown_account"

    def __init__(self) -> None:
        super().__init__("There is no such account")


class UnknownSession(AuthError):
    """The caller has no such session."""

    status = 404
    code = "unknown_session"

    def __init__(self) -> None:
        super().__init__("There is no such session")


class EmailTaken(AuthError):
    """An account with this e-mail address exists."""

    status = 409
    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists")


class NoPassword(AuthError):
    """The account has no password that could be changed."""

    status = 409
    code = "no_password"

    def __init__(self) -> None:
        super().__init__("The account has no password")


class InvalidRegistration(AuthError):
    """A field of the registration is not acceptable.

    :param field: its name in the request's body, such as ``email``.
    """

    status = 422
    code = "invalid_registration"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class EmailNotVerified(AuthError):
    """Another issuer's token has no e-mail address, or none that the issuer has verified."""

    status = 403
    code = "email_not_verified"

    def __init__(self) -> None:
        super().__init__("The token has no verified e-mail address, which a new account needs")


class TooManyAttempts(AuthError):
    """Sign-in failed too often, or too many registered, for now.

    :param retry_after: seconds until one more is allowed.
    """

    status = 429
    code = "too_many_attempts"

    def __init__(self, retry_after: int) -> None:
        super().__init__("Too many attempts; try again later")
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}


class SignInBusy(AuthError):
    """Too many passwords are hashed or verified at this moment; nothing was tried, and nothing is counted."""

    status = 429
    code = "sign_in_busy"

    def __init__(self) -> None:
        super().__init__("Too many sign-ins at this moment; try again in a second")

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


class IssuerUnavailable(AuthError):
    """The keys of another issuer cannot be had, so that its tokens can be neither believed nor refused.

    :param retry_after: seconds until they are asked for again.
    """

    status = 503
    code = "issuer_unavailable"

    def __init__(self, retry_after: int) -> None:
        super().__init__("The keys of the token's issuer cannot be had at the moment")
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}
