"""The public keys of another issuer: fetched over HTTP with every precaution, kept while the issuer is away.

PyJWT's ``PyJWKClient`` forgets its keys when they are due and cannot be fetched, asks a dead issuer again for every
token, and reads an answer of any length.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from urllib.parse import quote
from urllib.parse import urlsplit
from urllib.parse import urlunsplit

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from auth.errors import InvalidToken
from auth.errors import IssuerUnavailable
from config.sign_in import ExternalIssuer
from config.sign_in import is_loopback
from config.sign_in import is_safe_origin
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import TimedOut
from database.core.lifecycle import rebuild_after_fork
from database.http.connection import Answer
from database.http.pool import HttpPool

logger = logging.getLogger(__name__)

FRESH_SECONDS = 300.0
"""How long fetched keys are used without asking again."""
STALE_SECONDS = 24 * 3600.0
"""How long keys are used that cannot be fetched anew."""
UNKNOWN_KEY_PAUSE = 30.0
"""Seconds between two fetches because of a key that is not known: anybody can name one."""
FAILURE_PAUSE = 5.0
"""Seconds after a failed fetch before the next one."""

TIMEOUT = 5.0
"""Seconds for all that a fetch of the keys takes: discovery, connections, heads and bodies."""
MAX_BYTES = 256 * 1024

DISCOVERY_PATH = "/.well-known/openid-configuration"

Fetch = Callable[[str, float], bytes]
"""Takes a URL and the deadline, in monotonic seconds."""

_QUOTED = "/?#[]@!$&'()*+,;=:%-._~"
"""What stands in a URL as it is, and the sign of what is quoted already."""

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""Not compressed, so that what is counted is what there is."""


class FetchFailed(Exception):
    """The keys could not be had; says why, for the log."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """What one fetch has brought. :ivar at: monotonic seconds."""

    by_kid: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    at: float = float("-inf")


class IssuerKeys:
    """The keys of one issuer by their ``kid``; nothing is fetched before the first one is needed.

    :param issuer: with ``jwks_url``, or with OpenID Connect discovery below its ``issuer``.
    :param fetch: gets the document at a URL.
    :param clock: a monotonic clock.
    """

    def __init__(self, issuer: ExternalIssuer, fetch: Fetch | None = None, clock: Clock = monotonic) -> None:
        self._issuer = issuer
        self._fetch = fetch or fetch_document
        self._clock = clock
        self._keys = _Keys()
        self._build()
        rebuild_after_fork(self, IssuerKeys._build)

    def _build(self) -> None:
        """Everything that must not be shared with a forked child, which does not get what is being fetched."""
        self._not_before = self._unknown_not_before = float("-inf")
        self._failing = False
        self._fetching = threading.Lock()

    def key(self, kid: object, algorithm: str) -> Any:
        """The public key with this name, for PyJWT.

        :param algorithm: what it is to be used with; a key that is meant for another one is not found.
        :raises InvalidToken: if the issuer has no such key.
        :raises IssuerUnavailable: if the issuer cannot be asked for its keys, and none that are known are fresh enough.
        """
        if not isinstance(kid, str):
            raise InvalidToken("the header kid is missing")
        before = self._keys
        keys = self._current()
        if kid not in keys.by_kid and keys is before:
            keys = self._looked_up_again()
        jwk = keys.by_kid.get(kid)
        if jwk is None or jwk.get("alg", algorithm) != algorithm:
            raise InvalidToken("unknown key")
        try:
            return PyJWK(jwk, algorithm).key
        except PyJWTError as error:
            raise InvalidToken("unknown key") from error

    def _current(self) -> _Keys:
        """The keys, fetched anew if it is time; while somebody does that the others use what is there."""
        if self._age() >= FRESH_SECONDS and self._clock() >= self._not_before:
            self._refresh(self._keys, wait=self._age() >= STALE_SECONDS)
        if self._age() >= STALE_SECONDS:
            raise IssuerUnavailable(int(FAILURE_PAUSE))
        return self._keys

    def _looked_up_again(self) -> _Keys:
        """The keys after a look at what the issuer has now, if the last such look was long enough ago."""
        seen = self._keys
        if self._clock() >= max(self._unknown_not_before, self._not_before):
            self._refresh(seen, wait=True, unknown=True)
        return self._keys

    def _refresh(self, seen: _Keys, *, wait: bool, unknown: bool = False) -> None:
        if not self._fetching.acquire(timeout=TIMEOUT if wait else 0):
            return
        try:
            # Whoever waited meanwhile has the same wish, which has been granted or refused.
            due = self._unknown_not_before if unknown else self._not_before
            if self._keys is seen and self._clock() >= due:
                if unknown:
                    self._unknown_not_before = self._clock() + UNKNOWN_KEY_PAUSE
                self._fetch_all()
        finally:
            self._fetching.release()

    def _fetch_all(self) -> None:
        try:
            keys = self._fetched_keys()
        except FetchFailed as error:
            self._not_before = self._clock() + FAILURE_PAUSE
            if not self._failing:
                logger.warning("the keys of issuer %s cannot be fetched: %s", self._issuer.name, error)
            self._failing = True
            return
        self._keys = _Keys(keys, self._clock())
        if self._failing:
            logger.warning("the keys of issuer %s can be fetched again", self._issuer.name)
        self._failing = False

    def _fetched_keys(self) -> dict[str, dict[str, Any]]:
        deadline = monotonic() + TIMEOUT
        url = self._issuer.jwks_url or self._discovered_url(deadline)
        found = _object(self._fetch(url, deadline)).get("keys")
        if not isinstance(found, list):
            raise FetchFailed("there is no list of keys")
        return {jwk["kid"]: jwk for jwk in found if _is_public_signing_key(jwk)}

    def _discovered_url(self, deadline: float) -> str:
        issuer = self._issuer.issuer
        document = _object(self._fetch(issuer.rstrip("/") + DISCOVERY_PATH, deadline))
        if document.get("issuer") != issuer:
            raise FetchFailed("the discovery document is another issuer's")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not _may_lead_to(url, issuer):
            raise FetchFailed("the discovery document names no usable jwks_uri")
        return url

    def _age(self) -> float:
        return self._clock() - self._keys.at


def fetch_document(url: str, deadline: float | None = None) -> bytes:
    """What is at a URL, over a connection of its own and by a request that follows nothing.

    :param deadline: for all of it, head and body; monotonic seconds. After ``TIMEOUT`` by default.
    :raises FetchFailed: for anything but a 200 of at most ``MAX_BYTES`` in time.
    """
    try:
        parts = urlsplit(url)
        pool = HttpPool(url, "the issuer", kept=0)
    except ValueError as error:
        raise FetchFailed("its address is no URL") from error
    target = quote(urlunsplit(("", "", parts.path or "/", parts.query, "")), safe=_QUOTED)
    try:
        until = monotonic() + TIMEOUT if deadline is None else deadline
        return _body(pool.request("GET", target, _HEADERS, deadline=until, reads=True, most=MAX_BYTES))
    except TimedOut as error:
        raise FetchFailed(f"there is no complete answer after {TIMEOUT:g} s") from error
    except InvalidQuery as error:
        raise FetchFailed(f"the answer has more than {MAX_BYTES} bytes") from error
    except DataError as error:
        raise FetchFailed(error.message) from error


def _body(answer: Answer) -> bytes:
    if answer.status != 200:
        raise FetchFailed(f"status {answer.status}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchFailed("the answer is compressed")
    return answer.body


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FetchFailed("the answer is not JSON") from error
    if not isinstance(document, dict):
        raise FetchFailed("the answer is no JSON object")
    return document


def _may_lead_to(url: str, issuer: str) -> bool:
    """Whether an issuer may send us there: another machine must not reach the services of this one through us."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return is_safe_origin(parts) and (is_loopback(urlsplit(issuer).hostname) or not is_loopback(parts.hostname))


def _is_public_signing_key(jwk: object) -> bool:
    """Whether a member of the list can be used: never a shared secret, whatever the issuer publishes."""
    return (
        isinstance(jwk, dict)
        and isinstance(jwk.get("kid"), str)
        and jwk.get("kty") in ("RSA", "EC", "OKP")
        and jwk.get("use", "sig") == "sig"
    )
