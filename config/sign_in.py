"""The settings of sign-in: own accounts, rate limits, trusted proxies and external issuers."""

from __future__ import annotations

import json
import re
from ipaddress import ip_address
from typing import Annotated
from typing import Any
from typing import Literal
from typing import Self
from urllib.parse import SplitResult
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import AfterValidator
from pydantic import BaseModel
from pydantic import BeforeValidator
from pydantic import ConfigDict
from pydantic import Field
from pydantic import SecretStr
from pydantic import ValidationError
from pydantic import ValidationInfo
from pydantic import field_validator
from pydantic import model_validator

from config.fields import Count

OFF = "off"
MIN_SECRET_BYTES = 32

ExternalAlgorithm = Literal["HS256", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]

ROLE_CLAIM = "app_metadata.role"

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_CLAIM = re.compile(r"[^.\s]+(\.[^.\s]+)*")


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` is an address of this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def is_safe_origin(parts: SplitResult) -> bool:
    """Whether nobody on the network can alter a response from the URL: ``https``, or ``http`` to this machine."""
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname))
    )


def _rate(value: str) -> str:
    text = value.strip().lower()
    if text == OFF:
        return text
    try:
        (rate,) = parse_many(text)
    except ValueError:
        raise ValueError(f"must be one rate such as 10/15 minutes, or {OFF}") from None
    if rate.amount < 1 or rate.multiples < 1:
        raise ValueError(f"must allow at least one attempt; use {OFF} for no limit")
    return text


def _redis_url(value: SecretStr) -> SecretStr:
    try:
        parts = urlsplit(value.get_secret_value())
        usable = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("must be a URL such as redis://:password@127.0.0.1:6379/0, or rediss:// for TLS")
    return value


class ExternalIssuer(BaseModel):
    """An issuer whose tokens callers may exchange for ours, or send as they are.

    :ivar name: the issuer's name in logs.
    :ivar issuer: expected ``iss`` claim; must match exactly.
    :ivar audience: expected ``aud`` claim.
    :ivar jwks_url: URL of its public keys; found with OpenID Connect discovery by default.
    :ivar secret: the shared secret of an issuer that signs with ``HS256`` and has no public keys.
    :ivar algorithms: the accepted signature algorithms.
    :ivar confirms_email: whether the issuer confirms every address before sign-in; then a token without
        ``email_verified`` counts as verified.
    :ivar bearer: whether callers may send its access tokens as ``Authorization: Bearer``. The tokens must have the form
        of Supabase Auth's, with the claim ``role``.
    :ivar role_claim: the path of the claim with the application's role in these tokens, its names joined by dots.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: str | None = None
    secret: SecretStr | None = None
    algorithms: tuple[ExternalAlgorithm, ...] = Field(min_length=1)
    confirms_email: bool = False
    bearer: bool = False
    role_claim: str = ROLE_CLAIM

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> Self:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError("name must be a lower-case letter followed by up to 31 lower-case letters, digits, _ or -")
        if self.secret is not None:
            self._check_secret(self.secret.get_secret_value())
        elif "HS256" in self.algorithms:
            raise ValueError("algorithm HS256 needs a secret and cannot be used with public keys")
        else:
            self._check_url(self.issuer if self.jwks_url is None else self.jwks_url)
        return self

    @model_validator(mode="after")
    def _trusted_role(self) -> Self:
        if self.role_claim != ROLE_CLAIM and not self.bearer:
            raise ValueError("role_claim needs bearer to be true; the role in an exchanged token is ignored")
        if _CLAIM.fullmatch(self.role_claim) is None or self.role_claim == "role":
            raise ValueError("role_claim must be names joined by dots, and not role, which is the database role")
        if self.role_claim.partition(".")[0] == "user_metadata":
            raise ValueError("role_claim must not be in user_metadata, which users can change themselves")
        return self

    def _check_secret(self, secret: str) -> None:
        if self.jwks_url is not None:
            raise ValueError("secret and jwks_url cannot be combined; remove one of them")
        if self.algorithms != ("HS256",):
            raise ValueError('algorithms must be ["HS256"] if secret is set')
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"secret must have at least {MIN_SECRET_BYTES} bytes")

    @staticmethod
    def _check_url(url: str) -> None:
        if not is_safe_origin(urlsplit(url)):
            raise ValueError(
                "jwks_url, or issuer without it, must be an https URL; http is allowed on this machine only"
            )


def _external_issuers(value: object) -> object:
    if not isinstance(value, str | list | tuple):
        return value
    try:
        entries = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError("must be a JSON list of objects") from None
    if not isinstance(entries, list | tuple):
        raise ValueError("must be a JSON list of objects")
    issuers = tuple(_external_issuer(number, entry) for number, entry in enumerate(entries, 1))
    _check_different(issuers)
    return issuers


def _external_issuer(number: int, entry: Any) -> ExternalIssuer:
    try:
        return ExternalIssuer.model_validate(entry)
    except ValidationError as error:
        # No cause: the error contains the entry with its secret.
        detail = error.errors(include_input=False, include_url=False)[0]
    member = ".".join(str(part) for part in detail["loc"])
    raise ValueError(f"entry {number}: {member and f'{member}: '}{detail['msg'].removeprefix('Value error, ')}")


def _check_different(issuers: tuple[ExternalIssuer, ...]) -> None:
    """Issuer and algorithm of a token must determine one entry, and so one key."""
    ways = [(issuer.issuer, algorithm) for issuer in issuers for algorithm in issuer.algorithms]
    names = [issuer.name for issuer in issuers]
    if len(set(ways)) < len(ways) or len(set(names)) < len(names):
        raise ValueError("two entries have the same name, or the same issuer and algorithm; remove one of them")


Rate = Annotated[str, AfterValidator(_rate)]
ExternalIssuers = Annotated[tuple[ExternalIssuer, ...], BeforeValidator(_external_issuers)]


class SignInSettings(BaseModel):
    """Own accounts, rate limits of sign-in, trusted proxies and external issuers."""

    auth_login_limit_per_account: Rate = Field(
        "10/15 minutes", description="Limit of failed sign-ins per e-mail address, as `N/period`; `off` for no limit."
    )
    auth_login_limit_per_address: Rate = Field(
        "100/15 minutes", description="Limit of failed sign-ins per network address; `off` for no limit."
    )
    auth_register_limit_per_address: Rate = Field(
        "20/hour", description="Limit of registrations per network address; `off` for no limit."
    )
    trusted_proxies: Count = Field(
        0, description="Number of proxies in front of the application that set `X-Forwarded-For`."
    )
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = Field(
        None,
        description="Redis for the counters of the limits, `redis://` or `rediss://`; without it each process counts "
        "separately.",
    )
    auth_foreign_issuers: ExternalIssuers = Field(
        (), description="JSON list of external issuers; see *External issuers* in [auth.md](../auth.md)."
    )
    auth_accounts: bool = Field(
        True,
        description="Whether users can register and sign in here; if not, the routes below `/auth` do not exist, and "
        "an issuer in `AUTH_FOREIGN_ISSUERS` must have `bearer`.",
    )

    @field_validator("auth_accounts")
    @classmethod
    def _somebody_can_sign_in(cls, value: bool, info: ValidationInfo) -> bool:
        issuers = info.data.get("auth_foreign_issuers")
        if not value and issuers is not None and not any(issuer.bearer for issuer in issuers):
            raise ValueError("must be true unless an issuer in AUTH_FOREIGN_ISSUERS has bearer set to true")
        return value
