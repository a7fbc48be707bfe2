"""Every error of identity, in one tree; each knows the HTTP status it deserves.

::

    AuthError
    ├── AuthenticationFailed    401  who asks is not known
    │   ├── InvalidToken        401  a token was sent, and it is not to be believed
    │   └── InvalidCredentials  401  wrong e-mail or password, without saying which
    ├── AccessDenied            403  who asks is known, and may not
    ├── UnknownAccount          404
    ├── EmailTaken              409
    └── InvalidRegistration     422  names the field at fault

    ConfigurationError
    └── KeyConfigurationError        the signing key is missing, weak or unreadable

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


class AccessDenied(AuthError):
    """Who asks is known, and lacks the role."""

    status = 403
    code = "forbidden"


class UnknownAccount(AuthError):
    """There is no such account."""

    status = 404
    code = "unknown_account"

    def __init__(self) -> None:
        super().__init__("There is no such account")


class EmailTaken(AuthError):
    """An account with this e-mail address exists."""

    status = 409
    code = "email_taken"

    def __init__(self) -> None:
        super().__init__("An account with this e-mail address exists")


class InvalidRegistration(AuthError):
    """A field of the registration is not acceptable.

    :param field: ``email``, ``password`` or ``name``.
    """

    status = 422
    code = "invalid_registration"

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
