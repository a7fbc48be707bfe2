"""Verification of access tokens, after RFC 8725: the key decides everything, the token's header nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from threading import Lock
from typing import Any

import orjson
from jwt import PyJWS
from jwt.algorithms import HMACAlgorithm
from jwt.exceptions import InvalidTokenError
from jwt.utils import base64url_decode

from auth.claims import Claims
from auth.claims import check_claims
from auth.errors import InvalidToken
from auth.keys import SigningKey
from database.core.clock import utc_now

MAX_TOKEN_BYTES = 8192
MAX_CACHED = 1024
CACHE_SECONDS = 60.0

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# Headers that would let a token bring its own key, or ask for rules that are not implemented here.
_REFUSED_HEADERS = frozenset({"crit", "jku", "jwk", "x5c", "x5t", "x5t#S256", "x5u", "zip", "b64"})


class _JudgedHmac(HMACAlgorithm):
    """HMAC that does not warn of a short secret at every token: the key was judged when it was loaded."""

    def check_key_length(self, key: bytes) -> None:
        return None


def signature_scheme(algorithm: str) -> PyJWS:
    """Signing and verifying with one algorithm; all others, ``none`` among them, do not exist in it."""
    scheme = PyJWS(algorithms=[algorithm])
    if algorithm == "HS256":
        scheme.unregister_algorithm(algorithm)
        scheme.register_algorithm(algorithm, _JudgedHmac(HMACAlgorithm.SHA256))
    return scheme


class TokenVerifier:
    """Verifies tokens of one key, issuer and audience, and remembers for a short time those that passed.

    :param leeway: seconds by which the clocks of issuer and verifier may differ.
    :param now: the wall clock, aware.
    """

    def __init__(
        self,
        key: SigningKey,
        *,
        issuer: str,
        audience: str,
        leeway: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._key = key
        self._scheme = signature_scheme(key.algorithm)
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._now = now
        self._passed: dict[str, tuple[datetime, Claims]] = {}
        self._lock = Lock()

    def verify(self, token: str) -> Claims:
        """The claims of a valid token.

        :raises InvalidToken: for any other text, with a reason that repeats nothing of it.
        """
        # Reading needs no lock: one look-up in a dict is atomic, and entries are never changed.
        known = self._passed.get(token)
        now = self._now()
        if known is not None and now < known[0]:
            return known[1]
        claims = self._examine(token, now.timestamp())
        self._remember(token, claims, now)
        return claims

    def _examine(self, token: str, now: float) -> Claims:
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken("too long")
        if _SHAPE.fullmatch(token) is None:
            raise InvalidToken("malformed")
        self._check_header(_header(token))
        try:
            signed = self._scheme.decode_complete(token, self._key.public, algorithms=[self._key.algorithm])
        except InvalidTokenError as error:
            raise InvalidToken("wrong signature") from error
        claims = _claims(signed["payload"])
        check_claims(claims, issuer=self._issuer, audience=self._audience, now=now, leeway=self._leeway)
        return claims

    def _check_header(self, header: dict[str, Any]) -> None:
        if header.get("alg") != self._key.algorithm:
            raise InvalidToken("wrong algorithm")
        if not _REFUSED_HEADERS.isdisjoint(header):
            raise InvalidToken("a header that is not supported")
        if header.get("typ", "JWT") != "JWT":
            raise InvalidToken("wrong type")
        if header.get("kid") != self._key.kid:
            raise InvalidToken("unknown key")

    def _remember(self, token: str, claims: Claims, now: datetime) -> None:
        until = min(claims["exp"], now.timestamp() + CACHE_SECONDS)
        with self._lock:
            self._passed.pop(token, None)
            if len(self._passed) >= MAX_CACHED:
                del self._passed[next(iter(self._passed))]
            self._passed[token] = (datetime.fromtimestamp(until, UTC), claims)


def _header(token: str) -> dict[str, Any]:
    try:
        header = json.loads(base64url_decode(token.partition(".")[0]), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("malformed") from error
    if not isinstance(header, dict):
        raise InvalidToken("malformed")
    return header


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return members


def _claims(payload: bytes) -> Claims:
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidToken("malformed") from error
    if not isinstance(claims, dict):
        raise InvalidToken("malformed")
    return claims
