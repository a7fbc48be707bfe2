"""The real application, served by ``python app.py`` in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Self

import httpx
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_delay
from tenacity import wait_fixed

from auth.bridge import AuthBridge
from config.settings import load_settings
from tests.laboratory import ENVIRONMENT
from tests.servers.network.ports import free_port
from tests.servers.processes import process
from tests.servers.processes.process import ServerFailed

ROOT = Path(__file__).parents[2]
REQUEST_TIMEOUT = 3.0  # seconds

_SECRET = "only-for-the-throwaway-app-of-a-test"
_START_TIMEOUT = 30.0  # seconds; a start takes one


class ServedApp:
    """The application on a port of 127.0.0.1, the same for all its starts.

    :param folder: for the instance's files and the log.
    :param settings: environment variables that say which database it uses.
    """

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._log = folder / "app.log"
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._settings = {
            "ENVIRONMENT": "testing",
            "PORT": str(self.port),
            "THREADS": "8",
            "INSTANCE_PATH": str(folder / "instance"),
            "REQUEST_TIMEOUT": str(REQUEST_TIMEOUT),
            "JWT_SECRET": _SECRET,
            **settings,
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        """Where it is served."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The id of its first process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers. :raises ServerFailed: it does not."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "app.py")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={"PATH": os.defpath, **ENVIRONMENT, **self._settings},
            )
        try:
            self._wait_until_ready()
        except (httpx.TransportError, ServerFailed) as error:
            self.kill()
            raise ServerFailed(f"the app does not answer: {self.log()}") from error

    def kill(self) -> None:
        """End all its processes at once, with SIGKILL."""
        if self._process is not None:
            process.kill(self._process)

    def token(self) -> str:
        """The access token of a signed-in user."""
        bridge = AuthBridge(settings=load_settings(None, ENVIRONMENT="testing", JWT_SECRET=_SECRET))
        return bridge.generate_token("00000000-0000-4000-8000-000000000001")

    def log(self) -> str:
        """What it has written."""
        return self._log.read_text(errors="replace")

    def _wait_until_ready(self) -> None:
        attempts = Retrying(
            retry=retry_if_exception_type(httpx.TransportError),
            wait=wait_fixed(0.05),
            stop=stop_after_delay(_START_TIMEOUT),
            reraise=True,
        )
        attempts(self._knock)

    def _knock(self) -> None:
        if self._process is None or self._process.poll() is not None:
            raise ServerFailed("it ended")
        httpx.get(f"{self.url}/livez", timeout=5).raise_for_status()
