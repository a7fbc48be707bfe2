"""Counters in Redis, shared by all processes."""

from __future__ import annotations

from typing import Final

from limits.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry

FAILURES: Final = (RedisError,)
"""The errors of an unavailable Redis."""

TIMEOUT: Final = 0.5
"""Seconds to connect to Redis, and to wait for each response."""

_PREFIX: Final = "isthmus:limits"


def storage(url: str) -> RedisStorage:
    """The counters in the Redis at ``url``. It does not connect yet."""
    # No retries by the client: they could count twice, and delay a sign-in by seconds.
    once = Retry(NoBackoff(), 0)
    pool = ConnectionPool.from_url(url, retry=once, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    return RedisStorage(url, pool, _PREFIX)
