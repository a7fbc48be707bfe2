"""Redis, with its channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from storage.backends.redis.backend import RedisEntries
from storage.backends.redis.channels import RedisChannels
from storage.backends.redis.channels import RedisSubscription
from storage.core.store import Store
from storage.providers.store import StoreProvider


class RedisProvider(StoreProvider):
    """Entries in Redis. Their metadata ``ttl`` is the number of seconds after which Redis deletes them.

    :param db: the number of the database.
    :param ssl: connect by TLS.
    :param store: the name by which the entries of this provider are told from others in the same database.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 6379,
        db: int = 0,
        password: str | None = None,
        ssl: bool = False,
        store: str = "default",
    ) -> None:
        user = "" if password is None else f":{quote(password, safe='')}@"
        # An address of IPv6 has colons itself.
        place = f"[{host}]" if ":" in host else host
        url = f"{'rediss' if ssl else 'redis'}://{user}{place}:{port}/{db}"
        super().__init__(Store(RedisEntries(url, store), "redis"))
        self._channels = RedisChannels(url)

    def publish(self, channel: str, data: Any) -> int:
        """Send data to those who listen to a channel at this moment; returns how many they are."""
        return self._channels.publish(channel, data)

    def subscribe(self, channel: str, callback: Callable[[Any], object]) -> RedisSubscription:
        """Call ``callback`` in a thread with all data that is sent to a channel from now on, until it is closed."""
        return self._channels.subscribe(channel, callback)

    def close(self) -> None:
        self._channels.close()
        super().close()
