"""All errors of authentication, with the HTTP status of each.

::

    AuthError
    ├── AuthenticationFailed     401  the request does not identify a caller
    │   ├── InvalidToken         401  the access token is invalid
    │   ├── InvalidCredentials   401  wrong e-mail or password; does not say which
    │   ├── InvalidRefreshToken  401  the refresh token is unknown
    │   ├── SessionEnded         401  the session has ended
    │   └── SessionExpired       401  the session has expired
    ├── AccessDenied             403  the caller lacks a role or permission
    ├── CsrfRejected             403  a change with cookies lacks the CSRF token
    ├── EmailNotVerified         403  the external issuer has not verified an e-mail address
    ├── UnknownAccount           404
    ├── UnknownSession           404
    ├── EmailTaken               409
    ├── NoPassword               409  the account has no password to change
    ├── InvalidRegistration      422  names the invalid field
    ├── TooManyAttempts          429  says when to try again
    ├── SignInBusy               429  too many passwords are being verified
    └── IssuerUnavailable        503  the keys of the external issuer cannot be fetched

    ConfigurationError
    └── KeyConfigurationError         the signing key is missing, weak or unreadable

    RotationRefused                   the signing key cannot be rotated now, or not by this application

Messages are safe to show: they contain no token, password, key or e-mail address.
"""

from __future__ import annotations

from typing import ClassVar

from config.settings import ConfigurationError


class KeyConfigurationError(ConfigurationError):
    """The signing key cannot be used.

    :param setting: the setting to change.
    :param advice: the problem and its solution.
    """

    def __init__(self, setting: str, advice: str) -> None:
        super().__init__({setting: advice})


class RotationRefused(Exception):
    """The signing key cannot be rotated now, or not by this application. The message gives an operator the reason."""


class AuthError(Exception):
    """Base class of all authentication errors.

    :ivar status: the HTTP status of the response.
    :ivar code: a short name of the error for programs.
    :ivar message: the description for people.
    """

    status: ClassVar[int] = 400
    code: str = "auth_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    @property
    def headers(self) -> dict[str, str]:
        """Headers to add to the response."""
        return {}


class AuthenticationFailed(AuthError):
    """The request does not identify a caller.

    :param code: ``unauthorized``, or a more specific name.
    """

    status = 401

    def __init__(self, message: str = "Authentication required", *, code: str = "unauthorized") -> None:
        super().__init__(message)
        self.code = code

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": "Bearer"}


class InvalidToken(AuthenticationFailed):
    """The access token is invalid.

    :param reason: a fixed phrase that contains nothing of the token.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"Invalid token: {reason}", code="invalid_token")
        self.reason = reason

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{self.reason}"'}


class InvalidCredentials(AuthenticationFailed):
    """The e-mail address or the password is wrong. The error does not say which."""

    def __init__(self) -> None:
        super().__init__("Wrong e-mail or password", code="invalid_credentials")


class InvalidRefreshToken(AuthenticationFailed):
    """The refresh token belongs to no session."""

    def __init__(self) -> None:
        super().__init__("The refresh token belongs to no session; sign in again", code="invalid_refresh_token")


class SessionEnded(AuthenticationFailed):
    """The session has ended; the user must sign in again."""

    def __init__(self) -> None:
        super().__init__("The session has ended; sign in again", code="session_ended")


class SessionExpired(AuthenticationFailed):
    """The session was idle for too long or has reached its maximum age; the user must sign in again."""

    def __init__(self) -> None:
        super().__init__("The session has expired; sign in again", code="session_expired")


class AccessDenied(AuthError):
    """The caller is known and lacks a required role or permission."""

    status = 403
    code = "forbidden"

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}


class CsrfRejected(AuthError):
    """A request with cookies changes something and lacks the CSRF token, so another site may have sent it."""

    status = 403
    code = "csrf"

    def __init__(self) -> None:
        super().__init__("A change with cookies needs the header X-CSRF-Token with the value of the CSRF cookie")


class UnknownAccount(AuthError):
    """The account does not exist."""

    status = 404
    code = "unknown_account"

    def __init__(self) -> None:
        super().__init__("The account does not exist")


class UnknownSession(AuthError):
    """The caller has no active session with this id."""

    status = 404
    code = "unknown_session"

    def __init__(self) -> None:
        super().__init__("You have no active session with this id")


class EmailTaken(AuthError):
    """Another account has this e-mail address."""

    status = 409
    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("An account with this e-mail address already exists")


class NoPassword(AuthError):
    """The account has no password to change, such as an account of an external issuer's user."""

    status = 409
    code = "no_password"

    def __init__(self) -> None:
        super().__init__("The account has no password to change")


class InvalidRegistration(AuthError):
    """A field of the request's body is invalid.

    :param field: its name in the body, such as ``email``.
    """

    status = 422
    code = "invalid_registration"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class EmailNotVerified(AuthError):
    """The external issuer's token has no verified e-mail address."""

    status = 403
    code = "email_not_verified"

    def __init__(self) -> None:
        super().__init__("A new account needs a token with an e-mail address that its issuer has verified")


class TooManyAttempts(AuthError):
    """The limit of failed sign-ins or of registrations is reached.

    :param retry_after: seconds until the next attempt is allowed.
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
    """Too many passwords are being hashed or verified. The attempt was not made and does not count."""

    status = 429
    code = "sign_in_busy"

    def __init__(self) -> None:
        super().__init__("Too many sign-ins are in progress; try again in a second")

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": "1"}


class IssuerUnavailable(AuthError):
    """The keys of an external issuer cannot be fetched, so its tokens can be neither accepted nor rejected.

    :param retry_after: seconds until the next attempt to fetch them.
    """

    status = 503
    code = "issuer_unavailable"

    def __init__(self, retry_after: int) -> None:
        super().__init__("The keys of the token's issuer cannot be fetched now; try again later")
        self.retry_after = retry_after

    @property
    def headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after)}
