"""The bridge between Flask, Supabase and Convex: one access token that all three accept."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from datetime import timedelta
from typing import Any

import orjson

from auth.claims import Claims
from auth.claims import convex_identity
from auth.claims import make_claims
from auth.errors import InvalidToken
from auth.keys.ring import JWKS_MAX_AGE
from auth.keys.ring import KeyRing
from auth.keys.ring import fixed_ring
from auth.keys.ring import load_keyring
from auth.keys.rotation import Schedule
from auth.keys.signing import SigningKey
from auth.keys.signing import known_algorithm
from auth.keys.signing import secret_signing_key
from auth.verification import MAX_TOKEN_BYTES
from auth.verification import TokenVerifier
from auth.verification import signature_scheme
from config.settings import MAX_TOKEN_SECONDS
from config.settings import ConfigurationError
from config.settings import Settings
from config.settings import load_settings
from database.core.clock import utc_now
from database.core.tables.access_rules import ADMIN

logger = logging.getLogger(__name__)

MAX_LEEWAY = 30.0
LONG_EXPIRY = 3600
"""Seconds. A longer token lifetime is logged as a warning, because revoked roles and keys stay in use for that long."""

MAX_ADMIN_MINUTES = 15


class AuthBridge:
    """Creates and verifies access tokens.

    Convex and Supabase signing keys need ``ES256`` or ``RS256``. ``HS256`` works with Flask and with Supabase's legacy
    secret only.

    :param secret_key: shared secret for ``HS256``; without it the key comes from ``key`` or the settings.
    :param algorithm: ``ES256``, ``RS256`` or ``HS256``; ``HS256`` if only ``secret_key`` is given.
    :param expiry: lifetime of a token in seconds.
    :param issuer: ``iss`` claim; must match exactly.
    :param audience: ``aud`` claim.
    :param key: a key or a key ring instead of a secret.
    :param leeway: seconds by which the clocks of issuer and verifier may differ, at most 30.
    :param settings: defaults of the other parameters; read from the environment by default.
    :param now: the wall clock, timezone-aware.
    :param make_keys: whether to create a missing key ring file now instead of at its first use.
    :ivar ring: the keys.
    :raises ConfigurationError: if the settings, the key or ``expiry`` are invalid.
    """

    def __init__(  # noqa: PLR0913 - three documented parameters, the others by name
        self,
        secret_key: str | None = None,
        algorithm: str | None = None,
        expiry: int | None = None,
        *,
        issuer: str | None = None,
        audience: str | None = None,
        key: SigningKey | KeyRing | None = None,
        leeway: float = 10.0,
        settings: Settings | None = None,
        now: Callable[[], datetime] = utc_now,
        make_keys: bool = True,
    ) -> None:
        settings = load_settings() if settings is None else settings
        self.expiry = _valid_expiry(settings.jwt_expiry_seconds if expiry is None else expiry)
        self.issuer = settings.jwt_issuer if issuer is None else issuer
        self.audience = settings.jwt_audience if audience is None else audience
        if secret_key is None and key is None:
            self.ring = load_keyring(settings, algorithm, now=now, make_file=make_keys)
        else:
            self.ring = _given_ring(secret_key, algorithm, key, settings, now)
        self._verifier = TokenVerifier(
            self.ring, issuer=self.issuer, audience=self.audience, leeway=_valid_leeway(leeway), now=now
        )
        self._algorithm = known_algorithm(algorithm or settings.jwt_algorithm)
        self._publish = timedelta(seconds=settings.jwt_key_publish_seconds)
        self._leeway = leeway
        self._now = now

    @property
    def key(self) -> SigningKey:
        """The key that signs now."""
        return self.ring.current

    def rotate_key(self, *, at_once: bool = False, revoke: bool = False) -> None:
        """Create a key that is published now and signs later. All tokens stay valid, except with ``revoke``.

        :param at_once: sign with the new key now, or with the next key if there is one already.
        :param revoke: drop all other keys and so reject their tokens; needs ``at_once``.
        :raises RotationRefused: if there is a next key already, or the keys are not in a key ring file.
        :raises KeyConfigurationError: if the file cannot be read or written.
        :raises ValueError: for ``revoke`` without ``at_once``.
        """
        if revoke and not at_once:
            raise ValueError("revoke=True needs at_once=True")
        longest = max(self.expiry, MAX_ADMIN_MINUTES * 60)
        schedule = Schedule(self._publish, timedelta(seconds=longest + JWKS_MAX_AGE + self._leeway))
        self.ring.rotate(schedule, self._algorithm, at_once=at_once, revoke=revoke)

    def generate_token(
        self, user_id: str, user_data: Mapping[str, Any] | None = None, *, session_id: str | None = None
    ) -> str:
        """Create a signed access token.

        :param user_id: the subject; Supabase expects a UUID.
        :param user_data: ``email``, ``name``, ``role`` (the application's, ``user`` by default) and
            ``permissions``; other members are ignored.
        :param session_id: the claim ``sid``, for a token of a session.
        :raises ValueError: if ``user_id`` or ``session_id`` is empty or not a string, or the token would be too long to
            be accepted.
        """
        return self._sign(self._claims_for(user_id, user_data, session_id))

    def create_convex_identity(self, user_id: str, user_data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Create a token and the identity data that Convex clients expect.

        :returns: ``identity``, ``tokenIdentifier`` (the e-mail address or the user's id), ``token``, ``authType``,
            ``expiry`` in seconds since the epoch, and ``traits`` with ``role`` and ``name``.
        :raises ValueError: if ``user_id`` is empty or not a string.
        """
        claims = self._claims_for(user_id, user_data)
        return convex_identity(claims, self._sign(claims))

    def get_admin_token(
        self, *, reason: str, subject: str = "admin", minutes: int = MAX_ADMIN_MINUTES, permissions: Sequence[str] = ()
    ) -> str:
        """Create a token with the application's role ``admin`` for an operator. It belongs to no session and cannot be
        refreshed.

        A warning in the log records its ``jti`` and the reason.

        :param reason: the purpose of the token, on one line.
        :param subject: the ``sub`` claim; Supabase expects a UUID.
        :param minutes: lifetime of the token, at most 15.
        :param permissions: the only permissions in the token.
        :raises ValueError: if the reason is empty, or another parameter is invalid.
        """
        if not reason.strip() or not reason.isprintable():
            raise ValueError("reason must be one line of text that is not empty")
        if not 0 < minutes <= MAX_ADMIN_MINUTES:
            raise ValueError(f"minutes must be from 1 to {MAX_ADMIN_MINUTES}")
        user = {"role": ADMIN, "permissions": permissions}
        claims = self._claims_for(subject, user, expiry=minutes * 60)
        logger.warning("created an admin token, jti %s, for %d minutes: %s", claims["jti"], minutes, reason)
        return self._sign(claims)

    def verify(self, token: str) -> Claims:
        """The claims of a valid token. Do not modify them: all requests with the token share them.

        :raises InvalidToken: with a reason that is safe to show.
        """
        return self._verifier.verify(token)

    def validate_token(self, token: object) -> dict[str, Any] | None:
        """A copy of a valid token's claims, or None. Never raises."""
        if not isinstance(token, str):
            return None
        try:
            return deepcopy(dict(self.verify(token)))
        except InvalidToken:
            return None

    def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set; empty for ``HS256``."""
        return self.ring.keys(self._now()).jwks()

    def _claims_for(
        self,
        user_id: str,
        user_data: Mapping[str, Any] | None,
        session_id: str | None = None,
        expiry: int | None = None,
    ) -> dict[str, Any]:
        return make_claims(
            _valid_id(user_id, "user"),
            user_data or {},
            issuer=self.issuer,
            audience=self.audience,
            issued_at=int(self._now().timestamp()),
            expiry=self.expiry if expiry is None else expiry,
            session_id=None if session_id is None else _valid_id(session_id, "session"),
        )

    def _sign(self, claims: Claims) -> str:
        key = self.key
        headers = {} if key.kid is None else {"kid": key.kid}
        token = signature_scheme(key.algorithm).encode(orjson.dumps(claims), key.private, key.algorithm, headers)
        if len(token) > MAX_TOKEN_BYTES:
            raise ValueError(f"the token would have {len(token)} bytes, and at most {MAX_TOKEN_BYTES} are accepted")
        return token


def _valid_id(value: object, owner: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"the {owner} id must be a string that is not empty")
    return value


def _valid_expiry(seconds: int) -> int:
    if not 0 < seconds <= MAX_TOKEN_SECONDS:
        raise ConfigurationError({"JWT_EXPIRY_SECONDS": f"must be greater than 0 and at most {MAX_TOKEN_SECONDS}"})
    if seconds > LONG_EXPIRY:
        advice = "JWT_EXPIRY_SECONDS=%d: revoked roles and keys stay in use for that many seconds; use at most %d"
        logger.warning(advice, seconds, LONG_EXPIRY)
    return seconds


def _valid_leeway(seconds: float) -> float:
    if not 0 <= seconds <= MAX_LEEWAY:
        raise ValueError(f"leeway must be from 0 to {MAX_LEEWAY:g} seconds")
    return seconds


def _given_ring(
    secret: str | None,
    algorithm: str | None,
    key: SigningKey | KeyRing | None,
    settings: Settings,
    now: Callable[[], datetime],
) -> KeyRing:
    if secret is not None and key is None:
        return fixed_ring(secret_signing_key(secret, production=settings.production, algorithm=algorithm), now=now)
    ring = key if key is None or isinstance(key, KeyRing) else fixed_ring(key, now=now)
    if ring is None or secret is not None or algorithm not in (None, ring.current.algorithm):
        raise ValueError("key cannot be combined with secret_key or with another algorithm; pass key alone")
    return ring
