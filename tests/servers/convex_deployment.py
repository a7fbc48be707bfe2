"""A Convex deployment for the tests and, run as a program, for development.

It runs the real functions with Convex' own packages, and answers over HTTP as a deployment does. Documents are kept in
memory and one transaction runs at a time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from typing import Final
from typing import Literal

import httpx
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_delay
from tenacity import wait_fixed

from api.discovery import JWKS_PATH
from config.settings import ConfigurationError
from config.settings import load_settings
from tests.servers import process
from tests.servers.node import FOLDER
from tests.servers.node import installed_node
from tests.servers.node import installed_packages
from tests.servers.ports import free_port
from tests.servers.process import Account
from tests.servers.process import ServerFailed
from tests.servers.process import ServerUnavailable
from tests.servers.server import Server
from tests.servers.tokens import JwtProvider
from tests.servers.tokens import TokenSigner

FUNCTIONS: Final = Path(__file__).parents[2] / "database" / "convex_functions"
DEPLOY_KEY: Final = "dev:isthmus|only-for-development"
DEV_DEPLOY_KEY: Final = "isthmus-only-for-development"
"""Printed for a shell to read, in which the bar of a real key has a meaning."""

DEV_PORT: Final = 3210

_MAIN: Final = FOLDER / "convex" / "main.mjs"
_READY: Final = "ready "
_START_TIMEOUT: Final = 30.0  # seconds; a start takes half of one
_LOG_TAIL: Final = 4_000  # characters


class _NotReadyError(Exception):
    """The server has not yet said that it answers."""


@dataclass(frozen=True, slots=True)
class Requests:
    """How many requests reached a deployment, since it started or was reset.

    :ivar routes: by URL path.
    :ivar functions: calls by the function's path, such as ``molecules:list``.
    """

    routes: dict[str, int]
    functions: dict[str, int]


class ConvexFaults:
    """Failures on demand; they happen in the order in which they were added."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def add(
        self,
        kind: Literal["drop", "delay", "status", "conflict"],
        *,
        path: str | None = None,
        when: Literal["before", "after"] = "before",
        count: int | None = 1,
        **details: Any,
    ) -> None:
        """Have requests fail from here on.

        :param kind: ``drop`` cuts the connection, ``delay`` waits, ``status`` answers with an error, ``conflict`` runs
            a mutation, rolls it back and answers as Convex does when others wrote the same documents.
        :param path: of a function (``molecules:list``) or URL (``/version``); by default any URL, and for conflicts any
            mutation.
        :param when: before or after the request is carried out, which ``conflict`` does not ask.
        :param count: how many requests; None for all until :meth:`clear`.
        :param details: ``ms`` for ``delay``; ``status``, ``code`` and ``retry_after`` in seconds for ``status``.
        """
        fault = {"kind": kind, "path": path, "when": when, "count": count, **details}
        # A count of None has a meaning, a path of None has not.
        body = {name: value for name, value in fault.items() if value is not None or name == "count"}
        self._client.post("/__faults", json=body).raise_for_status()

    def clear(self) -> None:
        """Forget the faults that have not happened."""
        self._client.delete("/__faults").raise_for_status()


class ConvexDeployment(Server):
    """A deployment on a port of 127.0.0.1, until the end of a ``with`` block.

    Start it in a thread that outlives it: it is shut down when that thread ends.

    :param functions: the folder that is deployed.
    :param provider: whose tokens are accepted; by default nobody's.
    :param port: a free one by default.
    :param production: keep the messages of failed functions from clients.
    :param control: allow :attr:`faults`, :meth:`reset` and :meth:`requests`.
    :raises ServerUnavailable: Node.js or the npm packages are not installed.
    """

    def __init__(
        self,
        functions: Path = FUNCTIONS,
        *,
        provider: JwtProvider | None = None,
        port: int | None = None,
        production: bool = False,
        control: bool = True,
        deploy_key: str = DEPLOY_KEY,
    ) -> None:
        installed_packages()
        self.functions = functions
        self.port = port or free_port()
        self.deploy_key = deploy_key
        flags = [*(["--prod"] if production else []), *(["--control"] if control else [])]
        self._command = [*_command(functions, self.port, deploy_key, provider or TokenSigner().provider), *flags]
        self._client = httpx.Client(base_url=self.url, timeout=_START_TIMEOUT, trust_env=False)
        self.faults = ConvexFaults(self._client)
        self._process: subprocess.Popen[bytes] | None = None
        self._folders = ExitStack()
        self._log = Path(self._folders.enter_context(tempfile.TemporaryDirectory(prefix="isthmus-convex-"))) / "log"

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, also after it was stopped, with empty tables, and wait until it answers.

        :raises ServerFailed: it ended instead, or did not answer in half a minute.
        """
        self._log.write_bytes(b"")
        # The functions and packages lie in folders that another user may not be allowed to enter.
        self._process = Account().spawn(self._command, self._log)
        attempts = Retrying(
            retry=retry_if_exception_type(_NotReadyError),
            wait=wait_fixed(0.02),
            stop=stop_after_delay(_START_TIMEOUT),
            reraise=True,
        )
        try:
            attempts(self._look_whether_ready, self._process)
        except _NotReadyError as error:
            raise ServerFailed(f"the deployment does not answer: {self.log()}") from error

    def stop(self) -> None:
        """End it; its documents are lost, its port stays its own."""
        if self._process is not None:
            process.kill(self._process)

    def close(self) -> None:
        """End it for good."""
        self.stop()
        self._client.close()
        self._folders.close()

    def wait(self) -> None:
        """Wait until it ends by itself. :raises ServerFailed: it ended with an error."""
        if self._process is not None and self._process.wait():
            raise ServerFailed(f"the deployment ended: {self.log()}")

    def reset(self) -> None:
        """Make it as it was when it started: with empty tables, no faults and no requests counted."""
        self._client.post("/__reset").raise_for_status()

    def requests(self) -> Requests:
        """How many requests have reached it."""
        return Requests(**self._client.get("/__requests").raise_for_status().json())

    def log(self) -> str:
        """The end of what it has written."""
        return self._log.read_text(errors="replace")[-_LOG_TAIL:]

    def _look_whether_ready(self, server: subprocess.Popen[bytes]) -> None:
        if server.poll() is not None:
            raise ServerFailed(f"the deployment ended: {self.log()}")
        if not any(line.startswith(_READY) for line in self.log().splitlines()):
            raise _NotReadyError


def _command(functions: Path, port: int, deploy_key: str, provider: JwtProvider) -> list[str]:
    environment = [f"--env={name}={value}" for name, value in provider.environment().items()]
    address = [f"--functions={functions}", f"--port={port}", f"--deploy-key={deploy_key}"]
    return [installed_node().binary, str(_MAIN), *address, *environment]


def _provider_of_the_application() -> JwtProvider:
    """The application on this machine, as its settings say. :raises ConfigurationError: they are wrong."""
    settings = load_settings()
    if settings.jwt_algorithm == "HS256":
        raise ConfigurationError({"JWT_ALGORITHM": "HS256 is not known to Convex; set it to ES256 or RS256"})
    jwks = f"http://127.0.0.1:{settings.port}{JWKS_PATH}"
    return JwtProvider(settings.jwt_issuer, settings.jwt_audience, jwks, settings.jwt_algorithm)


def serve(port: int) -> None:
    """Serve the application's functions in the foreground until an interrupt.

    The settings for the application are written to the standard output.
    """
    provider = _provider_of_the_application()
    with ConvexDeployment(provider=provider, port=port, control=False, deploy_key=DEV_DEPLOY_KEY) as deployment:
        sys.stderr.write("A Convex deployment for development; its documents are lost when it ends (Ctrl-C).\n")
        sys.stdout.write(f"CONVEX_URL={deployment.url}\nCONVEX_DEPLOYMENT_KEY={deployment.deploy_key}\n")
        sys.stdout.flush()
        deployment.wait()


def main() -> int:
    """``make convex-dev``; the exit status, 2 for wrong settings."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        serve(int(os.environ.get("CONVEX_DEV_PORT", DEV_PORT)))
    except KeyboardInterrupt:
        return 0
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (ServerFailed, ServerUnavailable) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
