"""The public keys of an external issuer: fetched over HTTP with strict limits, and cached during an outage.

PyJWT's ``PyJWKClient`` is not used: it drops expired keys even if it cannot fetch new ones, calls an unavailable issuer
again for every token, and reads responses of any size.
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
"""How long fetched keys are used without another fetch."""
STALE_SECONDS = 24 * 3600.0
"""How long cached keys are used if the fetch fails."""
UNKNOWN_KEY_PAUSE = 30.0
"""Seconds between two fetches caused by an unknown ``kid``: anybody can send a token with one."""
FAILURE_PAUSE = 5.0
"""Seconds between a failed fetch and the next one."""

TIMEOUT = 5.0
"""Seconds for a whole fetch of the keys: discovery, connections, heads and bodies."""
MAX_BYTES = 256 * 1024

DISCOVERY_PATH = "/.well-known/openid-configuration"

Fetch = Callable[[str, float], bytes]
"""Takes a URL and the deadline, in monotonic seconds."""

_QUOTED = "/?#[]@!$&'()*+,;=:%-._~"
"""Characters that stay unquoted in a URL, including ``%``, because the URL may contain quoted characters."""

_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}
"""No compression, so that the limit of bytes applies to the document itself."""


class FetchFailed(Exception):
    """The keys could not be fetched; the message gives the reason, for the log."""


@dataclass(frozen=True, slots=True)
class _Keys:
    """The keys of one fetch. :ivar at: time of the fetch in monotonic seconds."""

    by_kid: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    at: float = float("-inf")


class IssuerKeys:
    """The keys of one issuer by ``kid``. The first use fetches them.

    :param issuer: has a ``jwks_url``, or serves OpenID Connect discovery below its ``issuer``.
    :param fetch: downloads the document at a URL.
    :param clock: a monotonic clock.
    """

    def __init__(self, issuer: ExternalIssuer, fetch: Fetch | None = None, clock: Clock = monotonic) -> None:
        self._issuer = issuer
        self._fetch = fetch or fetch_document
        self._clock = clock
        self._keys = _Keys()
        self._create_runtime_state()
        rebuild_after_fork(self, IssuerKeys._create_runtime_state)

    def _create_runtime_state(self) -> None:
        """Everything that must not be shared with a forked child, which does not get what is being fetched."""
        self._not_before = self._unknown_not_before = float("-inf")
        self._failing = False
        self._fetching = threading.Lock()

    def key(self, kid: object, algorithm: str) -> Any:
        """The public key with this ``kid``, for PyJWT.

        :param algorithm: the algorithm of the token; a key for another algorithm is not found.
        :raises InvalidToken: if the issuer has no such key.
        :raises IssuerUnavailable: if the keys cannot be fetched, and the cached ones are older than ``STALE_SECONDS``.
        """
        if not isinstance(kid, str):
            raise InvalidToken("header kid is missing")
        before = self._keys
        keys = self._get_keys()
        if kid not in keys.by_kid and keys is before:
            keys = self._fetch_for_unknown_kid()
        jwk = keys.by_kid.get(kid)
        if jwk is None or jwk.get("alg", algorithm) != algorithm:
            raise InvalidToken("unknown key")
        try:
            return PyJWK(jwk, algorithm).key
        except PyJWTError as error:
            raise InvalidToken("unknown key") from error

    def _get_keys(self) -> _Keys:
        """The keys, fetched again after ``FRESH_SECONDS``. While one thread fetches, the others use the cached ones."""
        if self._age() >= FRESH_SECONDS and self._clock() >= self._not_before:
            self._refresh(self._keys, wait=self._age() >= STALE_SECONDS)
        if self._age() >= STALE_SECONDS:
            raise IssuerUnavailable(int(FAILURE_PAUSE))
        return self._keys

    def _fetch_for_unknown_kid(self) -> _Keys:
        """The keys, fetched now unless the last fetch was within ``UNKNOWN_KEY_PAUSE`` or ``FAILURE_PAUSE``."""
        seen = self._keys
        if self._clock() >= max(self._unknown_not_before, self._not_before):
            self._refresh(seen, wait=True, unknown=True)
        return self._keys

    def _refresh(self, seen: _Keys, *, wait: bool, unknown: bool = False) -> None:
        if not self._fetching.acquire(timeout=TIMEOUT if wait else 0):
            return
        try:
            # Another thread may have fetched, or failed to fetch, while this one waited for the lock.
            due = self._unknown_not_before if unknown else self._not_before
            if self._keys is seen and self._clock() >= due:
                if unknown:
                    self._unknown_not_before = self._clock() + UNKNOWN_KEY_PAUSE
                self._update()
        finally:
            self._fetching.release()

    def _update(self) -> None:
        try:
            keys = self._fetch_keys()
        except FetchFailed as error:
            self._not_before = self._clock() + FAILURE_PAUSE
            if not self._failing:
                logger.warning("cannot fetch the keys of issuer %s: %s", self._issuer.name, error)
            self._failing = True
            return
        self._keys = _Keys(keys, self._clock())
        if self._failing:
            logger.warning("fetched the keys of issuer %s again", self._issuer.name)
        self._failing = False

    def _fetch_keys(self) -> dict[str, dict[str, Any]]:
        deadline = monotonic() + TIMEOUT
        url = self._issuer.jwks_url or self._discover_url(deadline)
        found = _object(self._fetch(url, deadline)).get("keys")
        if not isinstance(found, list):
            raise FetchFailed("the JSON Web Key Set has no list of keys")
        return {jwk["kid"]: jwk for jwk in found if _is_public_signing_key(jwk)}

    def _discover_url(self, deadline: float) -> str:
        issuer = self._issuer.issuer
        document = _object(self._fetch(issuer.rstrip("/") + DISCOVERY_PATH, deadline))
        if document.get("issuer") != issuer:
            raise FetchFailed("the discovery document has another issuer")
        url = document.get("jwks_uri")
        if not isinstance(url, str) or not _may_redirect_to(url, issuer):
            raise FetchFailed("the discovery document has no jwks_uri with https")
        return url

    def _age(self) -> float:
        return self._clock() - self._keys.at


def fetch_document(url: str, deadline: float | None = None) -> bytes:
    """Download the document at a URL, on a connection of its own, without following redirects.

    :param deadline: for the whole response, in monotonic seconds; ``TIMEOUT`` from now by default.
    :raises FetchFailed: unless the response is a 200 with at most ``MAX_BYTES``, complete before the deadline.
    """
    try:
        parts = urlsplit(url)
        pool = HttpPool(url, "the issuer", kept=0)
    except ValueError as error:
        raise FetchFailed("its address is not a valid URL") from error
    target = quote(urlunsplit(("", "", parts.path or "/", parts.query, "")), safe=_QUOTED)
    try:
        until = monotonic() + TIMEOUT if deadline is None else deadline
        return _body(pool.request("GET", target, _HEADERS, deadline=until, reads=True, most=MAX_BYTES))
    except TimedOut as error:
        raise FetchFailed(f"the response was not complete within {TIMEOUT:g} s") from error
    except InvalidQuery as error:
        raise FetchFailed(f"the response has more than {MAX_BYTES} bytes") from error
    except DataError as error:
        raise FetchFailed(error.message) from error


def _body(answer: Answer) -> bytes:
    if answer.status != 200:
        raise FetchFailed(f"status {answer.status}")
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        raise FetchFailed("the response is compressed")
    return answer.body


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise FetchFailed("the response is not JSON") from error
    if not isinstance(document, dict):
        raise FetchFailed("the response is not a JSON object")
    return document


def _may_redirect_to(url: str, issuer: str) -> bool:
    """Whether an issuer may name this URL. A remote issuer must not make us call services on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return is_safe_origin(parts) and (is_loopback(urlsplit(issuer).hostname) or not is_loopback(parts.hostname))


def _is_public_signing_key(jwk: object) -> bool:
    """Whether a member of the key set is a public signing key. A published shared secret must never be used."""
    return (
        isinstance(jwk, dict)
        and isinstance(jwk.get("kid"), str)
        and jwk.get("kty") in ("RSA", "EC", "OKP")
        and jwk.get("use", "sig") == "sig"
    )
