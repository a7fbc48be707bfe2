"""Rate limits: failed sign-ins per account and per network address, and registrations per network address.

With ``REDIS_URL``, Redis counts for all processes; without it, each process counts separately. While Redis is
unavailable, each process uses its own count: sign-in neither stops nor becomes unlimited.

A limit is checked before an attempt and counted after it. So concurrent requests can exceed it, by at most ``WORKERS``
times ``THREADS``.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from ipaddress import IPv6Address
from ipaddress import IPv6Network
from ipaddress import ip_address
from threading import RLock
from typing import NamedTuple
from typing import TypeVar

from flask import Flask
from limits import RateLimitItem
from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from werkzeug.middleware.proxy_fix import ProxyFix

from auth import sign_in
from auth.errors import AuthenticationFailed
from auth.errors import InvalidRegistration
from auth.errors import TooManyAttempts
from auth.sign_in.registration import canonical_email
from config.settings import Settings
from config.sign_in import OFF
from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.lifecycle import rebuild_after_fork
from database.extension import Isthmus
from database.extension import current_isthmus

logger = logging.getLogger(__name__)

REDIS_PAUSE = 5.0
"""Seconds without calls to Redis after a failure, so that not every sign-in waits for a timeout."""

_NETWORK_OF_ONE = 64  # bits of prefix: an IPv6 client usually controls all addresses of its /64 network

# Its counters need the same memory for any limit and expire. In the library's memory storage, the entries of a moving
# window do not.
_Strategy = SlidingWindowCounterRateLimiter

Answer = TypeVar("Answer")


class _Count(NamedTuple):
    """A counter: its rate, the kind of event, and a hash of the account or address."""

    rate: RateLimitItem
    kind: str
    whose: str

    def hit(self, counter: _Strategy) -> bool:
        return counter.hit(*self)

    def clear(self, counter: _Strategy) -> None:
        counter.clear(*self)

    def wait(self, counter: _Strategy) -> float:
        """Seconds until the next attempt is allowed; 0 if it is allowed now."""
        if counter.test(*self):
            return 0.0
        return max(1.0, counter.get_window_stats(*self).reset_time - time.time())


class Counters:
    """Counters in Redis, with counters in this process as the fallback.

    :param redis_url: URL of Redis; None to count in this process only.
    :param clock: a monotonic clock.
    """

    def __init__(self, redis_url: str | None, clock: Clock = monotonic) -> None:
        self._memory = MemoryStorage()
        self._own = _Strategy(self._memory)
        rebuild_after_fork(self, Counters._free_locks)
        self._shared: _Strategy | None = None
        self._failures: tuple[type[Exception], ...] = ()
        if redis_url is not None:
            self._shared = _Strategy(sign_in.redis_counters.storage(redis_url))
            self._failures = sign_in.redis_counters.FAILURES
        self._clock = clock
        self._silent_until: float | None = None

    def _free_locks(self) -> None:
        """In a forked child nobody counts; the storage finds out itself that its thread is not there."""
        self._memory.locks = defaultdict(RLock)

    def ask(self, question: Callable[[_Strategy], Answer]) -> Answer:
        """Apply ``question`` to the shared counters and to this process's own, and return the shared result.

        The own counters always count, so that they are up to date when Redis becomes unavailable.
        """
        own = question(self._own)
        if self._shared is None or (self._silent_until is not None and self._clock() < self._silent_until):
            return own
        try:
            answer = question(self._shared)
        except self._failures as error:
            self._note_failure(error)
            return own
        self._note_success()
        return answer

    def _note_failure(self, error: Exception) -> None:
        if self._silent_until is None:
            logger.warning("Redis does not answer (%s); each process counts its limits", type(error).__name__)
        self._silent_until = self._clock() + REDIS_PAUSE

    def _note_success(self) -> None:
        if self._silent_until is not None:
            self._silent_until = None
            logger.warning("Redis answers again; it counts the limits for all processes")


class SignInLimits:
    """The limits of failed sign-ins and of registrations.

    :param settings: ``AUTH_LOGIN_LIMIT_PER_ACCOUNT``, ``AUTH_LOGIN_LIMIT_PER_ADDRESS``,
        ``AUTH_REGISTER_LIMIT_PER_ADDRESS`` and ``REDIS_URL``.
    :param counters: replaces the counters that the settings select.
    """

    def __init__(self, settings: Settings, counters: Counters | None = None) -> None:
        url = None if settings.redis_url is None else settings.redis_url.get_secret_value()
        self._counters = counters or Counters(url)
        self._per_account = _rate(settings.auth_login_limit_per_account)
        self._per_address = _rate(settings.auth_login_limit_per_address)
        self._registrations = _rate(settings.auth_register_limit_per_address)

    @contextmanager
    def sign_in(self, address: str | None, email: object = None) -> Iterator[None]:
        """A context around a sign-in attempt: it counts a failure, and resets the account's counter after a success.

        Only :class:`~auth.errors.AuthenticationFailed` counts as a failure; an outage does not. An e-mail address is
        counted whether or not an account has it.

        :param address: the client's network address.
        :param email: as the client sent it; None if the attempt names no account.
        :raises TooManyAttempts: before the attempt, if a limit is reached.
        """
        account = _counts((self._per_account, "login-account", _account(email)))
        counts = account + _counts((self._per_address, "login-address", network(address)))
        self._refuse_excess(counts)
        try:
            yield
        except AuthenticationFailed:
            for count in counts:
                self._counters.ask(count.hit)
            raise
        for count in account:
            self._counters.ask(count.clear)

    def register(self, address: str | None) -> None:
        """Count an attempt to register, successful or not.

        :param address: the client's network address.
        :raises TooManyAttempts: if the limit is reached.
        """
        for count in _counts((self._registrations, "register-address", network(address))):
            if not self._counters.ask(count.hit):
                self._refuse_excess((count,))
                # The limit was reset between the two calls.
                raise TooManyAttempts(1)

    def _refuse_excess(self, counts: tuple[_Count, ...]) -> None:
        wait = max((self._counters.ask(count.wait) for count in counts), default=0.0)
        if wait:
            raise TooManyAttempts(math.ceil(wait))


def init_app(app: Flask, settings: Settings) -> None:
    """Set up the limits of ``app``, and the client's address behind trusted proxies.

    With ``TRUSTED_PROXIES``, the address is the one that the first of that many proxies saw. Without it, the address is
    the peer's, and ``X-Forwarded-For`` is ignored.
    """
    Isthmus.of(app)[SignInLimits] = SignInLimits(settings)
    if settings.redis_url is None:
        alone = settings.workers == 1 and not settings.production
        level = logging.INFO if alone else logging.WARNING
        logger.log(level, "each process counts its limits; set REDIS_URL to count for all processes")
    if hops := settings.trusted_proxies:
        trusting = ProxyFix(app.wsgi_app, x_for=hops, x_proto=0, x_host=0, x_port=0, x_prefix=0)
        app.wsgi_app = trusting  # type: ignore[method-assign]


def sign_in_limits() -> SignInLimits:
    """The limits of the current app."""
    return current_isthmus()[SignInLimits]


def network(address: str | None) -> str:
    """The key of one client: an IPv4 address, or the /64 network of an IPv6 address.

    :param address: may be followed by a port, as some proxies write it; any other text is its own key.
    """
    found = _parsed(address or "")
    if found is None:
        return address or ""
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else found
    return str(mapped or IPv6Network((int(found), _NETWORK_OF_ONE), strict=False))


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    bracketed = address.startswith("[")
    host = address[1:].partition("]")[0] if bracketed else address
    if not bracketed and address.count(":") == 1:
        host = address.partition(":")[0]
    try:
        return ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _account(email: object) -> str | None:
    """The canonical e-mail address of an account; None if the value cannot be one."""
    try:
        return None if email is None else canonical_email(email)
    except InvalidRegistration:
        return None


def _counts(*wanted: tuple[RateLimitItem | None, str, str | None]) -> tuple[_Count, ...]:
    return tuple(
        _Count(rate, kind, hashlib.sha256(f"{kind}\0{whose}".encode()).hexdigest())
        for rate, kind, whose in wanted
        if rate is not None and whose is not None
    )


def _rate(text: str) -> RateLimitItem | None:
    return None if text == OFF else parse(text)
