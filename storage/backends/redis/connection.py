"""Connections to Redis, and its errors as those of stores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from database.core.errors import lost_answer
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageCredentialsRefused
from storage.core.errors import StorageError

KIND: Final = "redis"


def client_of(url: str, timeout: float) -> redis.Redis:
    """A client that sends each command once: retries are those of the store's pipeline, which knows what may be
    repeated.

    :param timeout: seconds for a connection, and for each answer.
    """
    return redis.Redis.from_url(
        url,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        retry=Retry(NoBackoff(), 0),
        retry_on_timeout=False,
        health_check_interval=0,
    )


def answer(client: redis.Redis, *command: str | bytes | int) -> Any:
    """The answer to a command. The client's own way of sending one, with retries and records of its own, takes longer
    than the pipeline of the store.

    A connection on which this fails closes itself.
    """
    pool: Any = client.connection_pool
    connection = pool.get_connection()
    try:
        connection.send_command(*command)
        return connection.read_response()
    finally:
        pool.release(connection)


@dataclass(frozen=True, slots=True)
class _Errors:
    """A block whose errors of Redis are raised as those of stores."""

    reads: bool

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, redis.RedisError):
            raise _translated(error, reads=self.reads) from error


READING: Final = _Errors(reads=True)
"""Around commands that change nothing, so that a lost answer does no harm."""

WRITING: Final = _Errors(reads=False)
"""Around commands that may have changed something when an answer is lost."""


def _translated(error: redis.RedisError, *, reads: bool) -> Exception:
    if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
        return StorageCredentialsRefused("Redis refuses the password of REDIS_URL, or its rights", backend=KIND)
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return StorageCapacityError("Redis has no memory left for the entry", backend=KIND)
    if isinstance(error, redis.TimeoutError | redis.ConnectionError):
        # The only difference that there is: nothing was sent.
        if "connecting" in str(error):
            return StorageConnectionError("Could not connect to Redis", backend=KIND)
        late = isinstance(error, redis.TimeoutError)
        return lost_answer(
            "Redis did not answer in time" if late else "the connection to Redis was lost", reads=reads, late=late
        )
    return StorageError(f"Redis refused the operation: {type(error).__name__}", backend=KIND)
