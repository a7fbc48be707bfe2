"""A server that Node.js runs, and the programs that serve one in the foreground."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar
from typing import Final

from tenacity import RetryError
from tenacity import Retrying
from tenacity import retry_if_result
from tenacity import stop_after_delay
from tenacity import wait_fixed

from config.settings import ConfigurationError
from tests.servers import process
from tests.servers.node import installed_node
from tests.servers.node import installed_packages
from tests.servers.ports import free_port
from tests.servers.process import Account
from tests.servers.process import ServerFailed
from tests.servers.process import ServerUnavailable
from tests.servers.server import Server

TIMEOUT: Final = 30.0  # seconds; a start takes half of one
_LOG_TAIL: Final = 4_000  # characters


class NodeServer(Server):
    """A process on a port of 127.0.0.1 with a folder of its own, in which its output is logged.

    Start it in a thread that outlives it: it is shut down when that thread ends.

    :param port: a free one by default.
    :raises ServerUnavailable: Node.js or the npm packages are not installed.
    """

    title: ClassVar[str]
    """What it is, for messages."""

    def __init__(self, port: int | None) -> None:
        installed_packages()
        self.port = port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._parts = ExitStack()
        self._folder = Path(self._parts.enter_context(tempfile.TemporaryDirectory(prefix="isthmus-node-")))
        self._log = self._folder / "log"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, also after it was stopped, and wait until it answers.

        :raises ServerFailed: it ended instead, or did not answer in half a minute.
        """
        self._log.write_bytes(b"")
        # The packages lie in folders that another user may not be allowed to enter.
        self._process = Account().spawn([installed_node().binary, *self._arguments()], self._log)
        attempts = Retrying(
            retry=retry_if_result(lambda ready: not ready), wait=wait_fixed(0.02), stop=stop_after_delay(TIMEOUT)
        )
        try:
            attempts(self._looks_ready, self._process)
        except RetryError as error:
            raise ServerFailed(f"{self.title} does not answer: {self.log()}") from error

    def stop(self) -> None:
        """End it; its port stays its own."""
        if self._process is not None:
            process.kill(self._process)

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._parts.close()

    def wait(self) -> None:
        """Wait until it ends by itself. :raises ServerFailed: it ended with an error."""
        if self._process is not None and self._process.wait():
            raise ServerFailed(f"{self.title} ended: {self.log()}")

    def log(self) -> str:
        """The end of what it has written."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    @abstractmethod
    def _arguments(self) -> Sequence[str]:
        """What Node.js is started with."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it answers by now."""

    def _looks_ready(self, server: subprocess.Popen[bytes]) -> bool:
        if server.poll() is not None:
            raise ServerFailed(f"{self.title} ended: {self.log()}")
        return self._is_ready()


def announce(title: str, settings: dict[str, str]) -> None:
    """Say on the standard error what is served, and on the standard output the application's settings for it."""
    sys.stderr.write(f"{title} for development; its data is lost when it ends (Ctrl-C).\n")
    sys.stdout.writelines(f"{name}={value}\n" for name, value in settings.items())
    sys.stdout.flush()


def run_in_foreground(serve: Callable[[], None]) -> int:
    """Run ``serve`` until an interrupt; the exit status, 2 for wrong settings."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve()
    except KeyboardInterrupt:
        return 0
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (ServerFailed, ServerUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0
