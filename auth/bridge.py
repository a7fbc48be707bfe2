"""The bridge between Flask, Supabase and Convex: one access token that all three believe."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from copy import deepcopy
from datetime import datetime
from typing import Any

import orjson

from auth.claims import Claims
from auth.claims import convex_identity
from auth.claims import make_claims
from auth.errors import InvalidToken
from auth.keys import SigningKey
from auth.keys import load_signing_key
from auth.keys import secret_signing_key
from auth.verification import TokenVerifier
from auth.verification import signature_scheme
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import load_settings
from database.core.clock import utc_now

MAX_LEEWAY = 30.0


class AuthBridge:
    """Makes and verifies access tokens.

    Convex and Supabase's signing keys need ``ES256`` or ``RS256``; ``HS256`` serves Flask alone and Supabase's
    legacy secret.

    :param secret_key: shared secret for ``HS256``; without it the key comes from ``key`` or the settings.
    :param algorithm: ``ES256``, ``RS256`` or ``HS256``; ``HS256`` if only ``secret_key`` is given.
    :param expiry: life of a token in seconds.
    :param issuer: ``iss``, compared letter for letter.
    :param audience: ``aud``.
    :param key: a key instead of a secret.
    :param leeway: seconds by which the clocks of issuer and verifier may differ, at most 30.
    :param settings: what the other parameters leave open; read from the environment by default.
    :param now: the wall clock, aware.
    :raises ConfigurationError: if the settings, the key or ``expiry`` cannot be used.
    """

    def __init__(  # noqa: PLR0913 - three documented parameters, the others by name
        self,
        secret_key: str | None = None,
        algorithm: str | None = None,
        expiry: int | None = None,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        key: SigningKey | None = None,
        leeway: float = 10.0,
        settings: Settings | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        settings = load_settings() if settings is None else settings
        self.expiry = _valid_expiry(settings.jwt_expiry_seconds if expiry is None else expiry)
        self.issuer = settings.jwt_issuer if issuer is None else issuer
        self.audience = settings.jwt_audience if audience is None else audience
        self.key = _choose_key(secret_key, algorithm, key, settings)
        self._scheme = signature_scheme(self.key.algorithm)
        self._verifier = TokenVerifier(
            self.key, issuer=self.issuer, audience=self.audience, leeway=_valid_leeway(leeway), now=now
        )
        self._now = now

    def generate_token(self, user_id: str, user_data: Mapping[str, Any] | None = None) -> str:
        """A signed access token.

        :param user_id: the subject; Supabase wants a UUID.
        :param user_data: ``email``, ``name``, ``role`` (the application's, ``user`` by default) and
            ``permissions``; other members are not put into the token.
        :raises ValueError: if ``user_id`` is empty or no text.
        """
        return self._sign(self._claims_for(user_id, user_data))

    def create_convex_identity(self, user_id: str, user_data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A new token with what a Convex client wants to know beside it.

        :returns: ``identity``, ``tokenIdentifier`` (the e-mail address or the user's id), ``token``, ``authType``,
            ``expiry`` in seconds since the epoch, and ``traits`` with ``role`` and ``name``.
        :raises ValueError: if ``user_id`` is empty or no text.
        """
        claims = self._claims_for(user_id, user_data)
        return convex_identity(claims, self._sign(claims))

    def verify(self, token: str) -> Claims:
        """The claims of a valid token, to be read only: they are shared by all who send it.

        :raises InvalidToken: with a reason that is safe to show.
        """
        return self._verifier.verify(token)

    def validate_token(self, token: object) -> dict[str, Any] | None:
        """The caller's own copy of a valid token's claims, or None. Never raises."""
        if not isinstance(token, str):
            return None
        try:
            return deepcopy(dict(self.verify(token)))
        except InvalidToken:
            return None

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set; empty for ``HS256``."""
        return self.key.jwks()

    def _claims_for(self, user_id: str, user_data: Mapping[str, Any] | None) -> dict[str, Any]:
        return make_claims(
            _valid_subject(user_id),
            user_data or {},
            issuer=self.issuer,
            audience=self.audience,
            issued_at=int(self._now().timestamp()),
            expiry=self.expiry,
        )

    def _sign(self, claims: Claims) -> str:
        headers = {} if self.key.kid is None else {"kid": self.key.kid}
        return self._scheme.encode(orjson.dumps(claims), self.key.private, self.key.algorithm, headers)


def _valid_subject(user_id: object) -> str:
    if not isinstance(user_id, str) or not user_id:
        raise ValueError("the user's id must be a text that is not empty")
    return user_id


def _valid_expiry(seconds: int) -> int:
    if seconds <= 0:
        raise ConfigurationError({"JWT_EXPIRY_SECONDS": "must be greater than 0, or no token would ever be valid"})
    return seconds


def _valid_leeway(seconds: float) -> float:
    if not 0 <= seconds <= MAX_LEEWAY:
        raise ValueError(f"leeway must be from 0 to {MAX_LEEWAY:g} seconds")
    return seconds


def _choose_key(secret: str | None, algorithm: str | None, key: SigningKey | None, settings: Settings) -> SigningKey:
    if key is None and secret is None:
        return load_signing_key(settings, algorithm)
    if key is None and secret is not None:
        return secret_signing_key(secret, production=settings.production, algorithm=algorithm)
    if key is None or secret is not None or algorithm not in (None, key.algorithm):
        raise ValueError("a key brings its own secret and algorithm; give it alone")
    return key
