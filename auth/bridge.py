"""The bridge between Flask, Supabase and Convex: one access token that all three believe."""

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
"""Seconds; what is revoked or rotated away may be in use for that long."""

MAX_ADMIN_MINUTES = 15


class AuthBridge:
    """Makes and verifies access tokens.

    Convex and Supabase's signing keys need ``ES256`` or ``RS256``; ``HS256`` serves Flask alone and Supabase's
    legacy secret.

    :param secret_key: shared secret for ``HS256``; without it the key comes from ``key`` or the settings.
    :param algorithm: ``ES256``, ``RS256`` or ``HS256``; ``HS256`` if only ``secret_key`` is given.
    :param expiry: life of a token in seconds.
    :param issuer: ``iss``, compared letter for letter.
    :param audience: ``aud``.
    :param key: a key, or a ring of keys, instead of a secret.
    :param leeway: seconds by which the clocks of issuer and verifier may differ, at most 30.
    :param settings: what the other parameters leave open; read from the environment by default.
    :param now: the wall clock, aware.
    :param make_keys: whether a file of keys that does not exist is made now, and not before its first use.
    :ivar ring: the keys.
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
        """Make a new key that is published now and signs later. No token is refused for it, unless it is to revoke.

        :param at_once: have it sign now or, if a key waits already, that one.
        :param revoke: drop all other keys at once, with their tokens; only together with ``at_once``.
        :raises RotationRefused: if a key waits already, or the key is not one of a file of keys.
        :raises KeyConfigurationError: if the file cannot be read or written.
        :raises ValueError: to revoke later.
        """
        if revoke and not at_once:
            raise ValueError("keys are revoked at once, or not at all")
        longest = max(self.expiry, MAX_ADMIN_MINUTES * 60)
        schedule = Schedule(self._publish, timedelta(seconds=longest + JWKS_MAX_AGE + self._leeway))
        self.ring.rotate(schedule, self._algorithm, at_once=at_once, revoke=revoke)

    def generate_token(
        self, user_id: str, user_data: Mapping[str, Any] | None = None, *, session_id: str | None = None
    ) -> str:
        """A signed access token.

        :param user_id: the subject; Supabase wants a UUID.
        :param user_data: ``email``, ``name``, ``role`` (the application's, ``user`` by default) and
            ``permissions``; other members are not put into the token.
        :param session_id: the claim ``sid``, for a token that belongs to a session.
        :raises ValueError: if ``user_id`` or ``session_id`` is empty or no text.
        """
        return self._sign(self._claims_for(user_id, user_data, session_id))

    def create_convex_identity(self, user_id: str, user_data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """A new token with what a Convex client wants to know beside it.

        :returns: ``identity``, ``tokenIdentifier`` (the e-mail address or the user's id), ``token``, ``authType``,
            ``expiry`` in seconds since the epoch, and ``traits`` with ``role`` and ``name``.
        :raises ValueError: if ``user_id`` is empty or no text.
        """
        claims = self._claims_for(user_id, user_data)
        return convex_identity(claims, self._sign(claims))

    def get_admin_token(
        self, *, reason: str, subject: str = "admin", minutes: int = MAX_ADMIN_MINUTES, permissions: Sequence[str] = ()
    ) -> str:
        """A token with the application's role ``admin``, for an operator's errand; no session goes on with it.

        It is logged as a warning, with its ``jti`` and the reason.

        :param reason: what it is for, on one line.
        :param subject: who acts; Supabase wants a UUID.
        :param minutes: its life, at most 15.
        :param permissions: these and no others.
        :raises ValueError: if there is no reason, or another parameter is not acceptable.
        """
        if not reason.strip() or not reason.isprintable():
            raise ValueError("an admin token needs a reason, on one line")
        if not 0 < minutes <= MAX_ADMIN_MINUTES:
            raise ValueError(f"an admin token lives for 1 to {MAX_ADMIN_MINUTES} minutes")
        user = {"role": ADMIN, "permissions": permissions}
        claims = self._claims_for(subject, user, expiry=minutes * 60)
        logger.warning("made an admin token, jti %s, for %d minutes: %s", claims["jti"], minutes, reason)
        return self._sign(claims)

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
        return signature_scheme(key.algorithm).encode(orjson.dumps(claims), key.private, key.algorithm, headers)


def _valid_id(value: object, owner: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"the {owner}'s id must be a text that is not empty")
    return value


def _valid_expiry(seconds: int) -> int:
    if not 0 < seconds <= MAX_TOKEN_SECONDS:
        raise ConfigurationError({"JWT_EXPIRY_SECONDS": f"must be greater than 0 and at most {MAX_TOKEN_SECONDS}"})
    if seconds > LONG_EXPIRY:
        advice = "JWT_EXPIRY_SECONDS=%d: it takes that long until a role or a key that was taken away has no effect"
        logger.warning(advice, seconds)
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
        raise ValueError("a key brings its own secret and algorithm; give it alone")
    return ring
