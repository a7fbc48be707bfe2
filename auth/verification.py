"""Verification of access tokens, after RFC 8725: the header names a key at most, and the key decides the rest."""

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
# Headers that would let a token bring its own key, or ask for rules that are not implemented here.
_REFUSED_HEADERS = frozenset({"crit", "jku", "jwk", "x5c", "x5t", "x5t#S256", "x5u", "zip", "b64"})


class _JudgedHmac(HMACAlgorithm):
    """HMAC that does not warn of a short secret at every token: the key was judged when it was loaded."""

    def check_key_length(self, key: bytes) -> None:
        return None


@cache
def signature_scheme(algorithm: str) -> PyJWS:
    """Signing and verifying with one algorithm; all others, ``none`` among them, do not exist in it."""
    scheme = PyJWS(algorithms=[algorithm])
    if algorithm == "HS256":
        scheme.unregister_algorithm(algorithm)
        scheme.register_algorithm(algorithm, _JudgedHmac(HMACAlgorithm.SHA256))
    return scheme


class _Memory:
    """What is known of tokens as long as the same keys are in force; with the keys it is forgotten as a whole.

    :ivar passed: the claims of tokens that passed, and until when they are good.
    :ivar headers: the keys that the headers of tokens that passed may name, as most tokens have the same one.
    """

    __slots__ = ("headers", "keys", "passed")

    def __init__(self, keys: KeySet | None) -> None:
        self.keys = keys
        self.passed: dict[str, tuple[datetime, Claims]] = {}
        self.headers: dict[str, tuple[SigningKey, ...]] = {}


class TokenVerifier:
    """Verifies tokens of a ring's keys, one issuer and audience, and remembers for a short time those that passed.

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
        self._build()
        rebuild_after_fork(self, TokenVerifier._build)

    def _build(self) -> None:
        """Everything that must not be shared with a forked child."""
        self._memory = _Memory(None)
        self._lock = Lock()

    def verify(self, token: str) -> Claims:
        """The claims of a valid token.

        :raises InvalidToken: for any other text, with a reason that repeats nothing of it.
        """
        now = self._now()
        # Reading needs no lock: one look-up in a dict is atomic, and entries are never changed.
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
            # Another process may have made the key a moment ago.
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
        candidates = memory.headers.get(header) or _candidates(_parsed_header(header), memory.keys)
        claims = _claims(_signed_payload(token, candidates))
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
    """The keys of which the token may be: the one that it names, or those that have no name."""
    if not _REFUSED_HEADERS.isdisjoint(header):
        raise InvalidToken("a header that is not supported")
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


def _parsed_header(segment: str) -> dict[str, Any]:
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
