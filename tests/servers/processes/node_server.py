"""A server that Node.js runs, and the programs that serve one in the foreground."""

from __future__ import annotations

import signal
import sys
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence

from config.settings import ConfigurationError
from tests.servers.node import installed_node
from tests.servers.node import installed_packages
from tests.servers.processes.process import ServerFailed
from tests.servers.processes.process import ServerUnavailable
from tests.servers.processes.server import ProcessServer


class NodeServer(ProcessServer):
    """A server that Node.js runs.

    :raises ServerUnavailable: Node.js or the npm packages are not installed.
    """

    def __init__(self, port: int | None) -> None:
        installed_packages()
        # As the user of the tests: the packages lie in folders that another one may not be allowed to enter.
        super().__init__(port)

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def _command(self) -> Sequence[str]:
        return [installed_node().binary, *self._arguments()]

    @abstractmethod
    def _arguments(self) -> Sequence[str]:
        """What Node.js is started with."""


def announce(title: str, settings: dict[str, str]) -> None:
    """Say on the standard error what is served, and on the standard output the application's settings for it."""
    sys.stderr.write(f"{title} for development; its data is lost when it ends (Ctrl-C).\n")
    sys.stdout.writelines(f"{name}={value}\n" for name, value in settings.items())
    sys.stdout.flush()


def run_in_foreground(serve: Callable[[], None]) -> int:
    """Run ``serve`` until an interrupt; the exit status, 2 for wrong settings."""
    # Also the interrupt: to what a script starts in the background, its shell says to ignore it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
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
