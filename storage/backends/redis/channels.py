"""Channels of Redis: messages to those who listen at that moment. Nothing is kept for others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from typing import Final
from typing import cast

import redis

from database.core.lifecycle import Worker
from database.core.lifecycle import rebuild_after_fork
from storage.backends.redis.connection import READING
from storage.backends.redis.connection import WRITING
from storage.backends.redis.connection import client_of
from storage.core.documents import from_json
from storage.core.documents import to_json

logger = logging.getLogger(__name__)

_PAUSE: Final = 0.5
"""Seconds before a lost connection is opened again."""

_WAIT: Final = 0.2
"""Seconds after which a listener looks whether it was closed."""


class RedisChannels:
    """Sends and receives data of any type that a store takes.

    :param url: that of :class:`~storage.backends.redis.backend.RedisEntries`.
    :param timeout: seconds for a connection, and for each answer.
    """

    def __init__(self, url: str, timeout: float = 5.0) -> None:
        self._url = url
        self._timeout = timeout
        self._create_runtime_state()
        rebuild_after_fork(self, RedisChannels._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._client = client_of(self._url, self._timeout)

    def publish(self, channel: str, data: Any) -> int:
        """Send data; returns how many listen to the channel at this moment. It is sent once, or not at all.

        :raises StorageSerializationError: if the data has no JSON form.
        """
        message = to_json(data)
        with WRITING:
            return int(cast("int", self._client.publish(channel, message)))

    def subscribe(self, channel: str, callback: Callable[[Any], object]) -> RedisSubscription:
        """Call ``callback`` in a thread with all data that is sent from now on, until the subscription is closed.

        What is sent while the connection is lost is not received. A forked child receives nothing.
        """
        return RedisSubscription(self._client, channel, callback)

    def close(self) -> None:
        """Close the connections, apart from those of subscriptions."""
        self._client.close()


class RedisSubscription:
    """A listener; a context manager that closes it."""

    def __init__(self, client: redis.Redis, channel: str, callback: Callable[[Any], object]) -> None:
        self._messages: Any = client.pubsub()  # type: ignore[no-untyped-call]
        self._channel = channel
        self._callback = callback
        with READING:
            self._listen()
        self._worker = Worker(f"subscription to {channel!r}", self._step, 0.0, ended=self._messages.close)
        self._worker.start()

    def close(self) -> None:
        """End the subscription. The callback is not called any more, unless the caller is in it."""
        self._worker.stop()

    def __enter__(self) -> RedisSubscription:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _listen(self) -> None:
        self._messages.subscribe(self._channel)
        # That is only sent: the answer says that it holds.
        while self._messages.get_message(timeout=None) is None:
            pass

    def _step(self) -> float | None:
        try:
            message = self._messages.get_message(ignore_subscribe_messages=True, timeout=_WAIT)
        except redis.RedisError as error:
            logger.warning("the subscription to %r lost its connection: %s", self._channel, type(error).__name__)
            return _PAUSE
        if message is not None:
            self._callback(from_json(message["data"]))
        return None
