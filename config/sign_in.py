"""The settings of sign-in: how often it may fail, who says where a client is, and whose tokens are taken."""

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
from pydantic import model_validator

from config.fields import Count

OFF = "off"
MIN_SECRET_BYTES = 32

SharedAlgorithm = Literal["HS256"]
ExternalAlgorithm = Literal["HS256", "RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def is_loopback(host: str | None) -> bool:
    """Whether ``host`` can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ip_address(host or "").is_loopback
    except ValueError:
        return False


def is_safe_origin(parts: SplitResult) -> bool:
    """Whether what is fetched from a URL cannot be changed on its way: ``https``, or this machine."""
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
        raise ValueError(f"must allow at least one; to have no limit say {OFF}")
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
    """An issuer whose tokens may be exchanged for ours.

    :ivar name: for logs.
    :ivar issuer: ``iss``, compared letter for letter.
    :ivar audience: ``aud``.
    :ivar jwks_url: where its public keys are; by default where its OpenID Connect discovery says.
    :ivar secret: the shared secret of an issuer that signs with ``HS256``; such a one has no public keys.
    :ivar algorithms: those that its tokens are accepted with.
    :ivar confirms_email: whether it signs nobody in whose address is not confirmed, so that this need not stand in the
        token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str
    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    jwks_url: str | None = None
    secret: SecretStr | None = None
    algorithms: tuple[ExternalAlgorithm, ...] = Field(min_length=1)
    confirms_email: bool = False

    @property
    def shared_secret(self) -> bool:
        """Whether its tokens are signed with a secret that we know, too."""
        return self.secret is not None

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> Self:
        if _NAME.fullmatch(self.name) is None:
            raise ValueError("name must be a lower-case letter followed by at most 31 letters, digits, _ or -")
        if self.secret is not None:
            self._check_secret(self.secret.get_secret_value())
        elif "HS256" in self.algorithms:
            raise ValueError("HS256 needs a secret, and never goes with public keys")
        else:
            self._check_url(self.issuer if self.jwks_url is None else self.jwks_url)
        return self

    def _check_secret(self, secret: str) -> None:
        if self.jwks_url is not None:
            raise ValueError("secret and jwks_url exclude each other")
        if self.algorithms != ("HS256",):
            raise ValueError('secret goes with algorithms ["HS256"] alone')
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"secret is shorter than {MIN_SECRET_BYTES} bytes")

    @staticmethod
    def _check_url(url: str) -> None:
        if not is_safe_origin(urlsplit(url)):
            raise ValueError("keys are fetched by https only, or by http from this machine")


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
        # The error keeps the entry with its secret, so it must not travel along as a cause.
        detail = error.errors(include_input=False, include_url=False)[0]
    member = ".".join(str(part) for part in detail["loc"])
    raise ValueError(f"entry {number}: {member and f'{member}: '}{detail['msg'].removeprefix('Value error, ')}")


def _check_different(issuers: tuple[ExternalIssuer, ...]) -> None:
    """What a token says of itself, issuer and algorithm, must leave no choice of its key."""
    ways = [(issuer.issuer, algorithm) for issuer in issuers for algorithm in issuer.algorithms]
    names = [issuer.name for issuer in issuers]
    if len(set(ways)) < len(ways) or len(set(names)) < len(names):
        raise ValueError("two entries have the same name, or the same issuer and algorithm")


Rate = Annotated[str, AfterValidator(_rate)]
ExternalIssuers = Annotated[tuple[ExternalIssuer, ...], BeforeValidator(_external_issuers)]


class SignInSettings(BaseModel):
    """How often sign-in may fail, and who else's tokens sign in."""

    auth_login_limit_per_account: Rate = Field(
        "10/15 minutes", description="Failed sign-ins with one e-mail address, as `N/period`; `off` for no limit."
    )
    auth_login_limit_per_address: Rate = Field(
        "100/15 minutes", description="Failed sign-ins from one network address; `off` for no limit."
    )
    auth_register_limit_per_address: Rate = Field(
        "20/hour", description="Registrations from one network address; `off` for no limit."
    )
    trusted_proxies: Count = Field(0, description="Proxies before the application that set `X-Forwarded-For`.")
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = Field(
        None,
        description="Redis to count in for all processes, `redis://` or `rediss://`; else each counts alone.",
    )
    auth_foreign_issuers: ExternalIssuers = Field(
        (), description="JSON list of issuers whose tokens sign in; see *Tokens of others*."
    )
