"""What the servers of the tests have in common."""

from __future__ import annotations

import subprocess
import tempfile
from abc import ABC
from abc import abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar
from typing import Final
from typing import Self

from tenacity import RetryError
from tenacity import Retrying
from tenacity import retry_if_result
from tenacity import stop_after_delay
from tenacity import wait_fixed

from tests.servers.network.ports import free_port
from tests.servers.processes import process
from tests.servers.processes.process import Account
from tests.servers.processes.process import ServerFailed

TIMEOUT: Final = 30.0  # seconds; a start takes half of one
_LOG_TAIL: Final = 4_000  # characters


class Server(ABC):
    """A server that runs during a ``with`` block."""

    def __enter__(self) -> Self:
        """Start it. :raises ServerFailed: it does not answer; the message has what it said instead."""
        try:
            self.start()
        except ServerFailed:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def start(self) -> None:
        """Start it and wait until it answers. :raises ServerFailed: it does not."""

    @abstractmethod
    def close(self) -> None:
        """End it for good."""


class ProcessServer(Server):
    """A process on a port of 127.0.0.1 with a folder of its own, in which its output is logged.

    Start it in a thread that outlives it: it is shut down when that thread ends.

    :param port: a free one by default.
    :param account: what it runs as; the user of the tests by default.
    """

    title: ClassVar[str]
    """What it is, for messages."""

    def __init__(self, port: int | None = None, account: Account | None = None) -> None:
        self.port = port or free_port()
        self._account = account or Account()
        self._process: subprocess.Popen[bytes] | None = None
        self._parts = ExitStack()
        self._folder = Path(self._parts.enter_context(tempfile.TemporaryDirectory(prefix="isthmus-server-")))
        self._account.own(self._folder)
        self._log = self._folder / "log"

    def start(self) -> None:
        """Start it, also after it was stopped, and wait until it answers.

        :raises ServerFailed: it ended instead, or did not answer in half a minute.
        """
        self._log.write_bytes(b"")
        self._process = self._account.spawn(self._command(), self._log)
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
    def _command(self) -> Sequence[str]:
        """What is run."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether it answers by now."""

    def _looks_ready(self, server: subprocess.Popen[bytes]) -> bool:
        if server.poll() is not None:
            raise ServerFailed(f"{self.title} ended: {self.log()}")
        return self._is_ready()
