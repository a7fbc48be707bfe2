"""Counters in Redis, for all processes."""

from __future__ import annotations

from typing import Final

from limits.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.connection import ConnectionPool
from redis.exceptions import RedisError
from redis.retry import Retry

FAILURES: Final = (RedisError,)
"""What Redis raises if it does not answer."""

TIMEOUT: Final = 0.5
"""Seconds that Redis has to accept a connection, and to answer."""

_PREFIX: Final = "isthmus:limits"


def storage(url: str) -> RedisStorage:
    """The counters in the Redis at ``url``; it is not connected to yet."""
    # Its own retries would repeat what may have been counted already, and make sign-in wait for seconds.
    once = Retry(NoBackoff(), 0)
    pool = ConnectionPool.from_url(url, retry=once, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT)
    return RedisStorage(url, pool, _PREFIX)
