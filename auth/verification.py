"""Verification of access tokens, after RFC 8725: the header can only select a key; the key determines the algorithm."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from functools import cache
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
from auth.keys.key_states import KeySet
from auth.keys.ring import KeyRing
from auth.keys.signing import SigningKey
from database.core.clock import utc_now
from database.core.lifecycle import rebuild_after_fork

MAX_TOKEN_BYTES = 8192
MAX_CACHED = 1024
MAX_HEADERS = 64
CACHE_SECONDS = 60.0

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# Headers with which a token could supply its own key, or request extensions that are not implemented here.
REFUSED_HEADERS = frozenset({"crit", "jku", "jwk", "x5c", "x5t", "x5t#S256", "x5u", "zip", "b64"})


class _CheckedHmac(HMACAlgorithm):
    """HMAC without PyJWT's warning about short secrets for each token: the secret is checked when it is loaded."""

    def check_key_length(self, key: bytes) -> None:
        return None


@cache
def signature_scheme(algorithm: str) -> PyJWS:
    """A PyJWS that signs and verifies with one algorithm and rejects all others, including ``none``."""
    scheme = PyJWS(algorithms=[algorithm])
    if algorithm == "HS256":
        scheme.unregister_algorithm(algorithm)
        scheme.register_algorithm(algorithm, _CheckedHmac(HMACAlgorithm.SHA256))
    return scheme


class _Memory:
    """Cache of verified tokens for one set of keys. A change of the keys discards it as a whole.

    :ivar passed: the claims of each verified token, and the time until which they are valid.
    :ivar headers: the candidate keys by encoded header; most tokens have the same header.
    """

    __slots__ = ("headers", "keys", "passed")

    def __init__(self, keys: KeySet | None) -> None:
        self.keys = keys
        self.passed: dict[str, tuple[datetime, Claims]] = {}
        self.headers: dict[str, tuple[SigningKey, ...]] = {}


class TokenVerifier:
    """Verifies tokens of one key ring, issuer and audience, and caches verified tokens for ``CACHE_SECONDS``.

    :param leeway: seconds by which the clocks of issuer and verifier may differ.
    :param now: the wall clock, aware.
    """

    def __init__(
        self,
        ring: KeyRing,
        *,
        issuer: str,
        audience: str,
        leeway: float,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._ring = ring
        self._issuer = issuer
        self._audience = audience
        self._leeway = leeway
        self._now = now
        self._create_runtime_state()
        rebuild_after_fork(self, TokenVerifier._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._memory = _Memory(None)
        self._lock = Lock()

    def verify(self, token: str) -> Claims:
        """The claims of a valid token.

        :raises InvalidToken: for an invalid token; the reason contains nothing of it.
        """
        now = self._now()
        # No lock for reading: one look-up in a dict is atomic, and entries never change.
        memory = self._memory_of(self._ring.keys(now))
        known = memory.passed.get(token)
        if known is not None and now < known[0]:
            return known[1]
        return self._verify_anew(token, memory, now)

    def _memory_of(self, keys: KeySet) -> _Memory:
        memory = self._memory
        if memory.keys is not keys:
            memory = self._memory = _Memory(keys)
        return memory

    def _verify_anew(self, token: str, memory: _Memory, now: datetime) -> Claims:
        try:
            claims = self._examine(token, memory, now.timestamp())
        except _UnknownKeyError:
            # Another process may have just created the key.
            newer = self._ring.reload(now)
            if newer is memory.keys:
                raise
            memory = self._memory_of(newer)
            claims = self._examine(token, memory, now.timestamp())
        self._remember(token, claims, memory, now)
        return claims

    def _examine(self, token: str, memory: _Memory, now: float) -> Claims:
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken("too long")
        if _SHAPE.fullmatch(token) is None:
            raise InvalidToken("malformed")
        header = token.partition(".")[0]
        assert memory.keys is not None
        candidates = memory.headers.get(header) or _candidates(parsed_header(header), memory.keys)
        claims = parsed_claims(_signed_payload(token, candidates))
        check_claims(claims, issuer=self._issuer, audience=self._audience, now=now, leeway=self._leeway)
        if len(memory.headers) < MAX_HEADERS:
            memory.headers[header] = candidates
        return claims

    def _remember(self, token: str, claims: Claims, memory: _Memory, now: datetime) -> None:
        until = min(claims["exp"], now.timestamp() + CACHE_SECONDS)
        with self._lock:
            memory.passed.pop(token, None)
            if len(memory.passed) >= MAX_CACHED:
                del memory.passed[next(iter(memory.passed))]
            memory.passed[token] = (datetime.fromtimestamp(until, UTC), claims)


class _UnknownKeyError(InvalidToken):
    def __init__(self) -> None:
        super().__init__("unknown key")


def _candidates(header: dict[str, Any], keys: KeySet) -> tuple[SigningKey, ...]:
    """The keys that may have signed the token: the key with its ``kid``, or without ``kid`` the shared secrets."""
    if not REFUSED_HEADERS.isdisjoint(header):
        raise InvalidToken("unsupported header")
    if header.get("typ", "JWT") != "JWT":
        raise InvalidToken("wrong type")
    kid = header.get("kid")
    candidates = keys.accepted.get(kid) if kid is None or isinstance(kid, str) else None
    if not candidates:
        raise _UnknownKeyError
    if header.get("alg") != candidates[0].algorithm:
        raise InvalidToken("wrong algorithm")
    return candidates


def _signed_payload(token: str, candidates: tuple[SigningKey, ...]) -> bytes:
    refusal: InvalidTokenError | None = None
    for key in candidates:
        try:
            signed = signature_scheme(key.algorithm).decode_complete(token, key.public, algorithms=[key.algorithm])
        except InvalidTokenError as error:
            refusal = error
        else:
            payload: bytes = signed["payload"]
            return payload
    raise InvalidToken("wrong signature") from refusal


def parsed_header(segment: str) -> dict[str, Any]:
    """The header of a token. :raises InvalidToken: unless it is a JSON object in base64."""
    try:
        header = json.loads(base64url_decode(segment), object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError) as error:
        raise InvalidToken("malformed") from error
    if not isinstance(header, dict):
        raise InvalidToken("malformed")
    return header


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("the object contains a name twice")
    return members


def parsed_claims(payload: bytes) -> Claims:
    """The claims of a token. :raises InvalidToken: unless they are a JSON object."""
    try:
        claims = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidToken("malformed") from error
    if not isinstance(claims, dict):
        raise InvalidToken("malformed")
    return claims
