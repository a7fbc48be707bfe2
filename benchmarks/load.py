"""Starts a server, and clients on this machine that keep it busy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextlib import closing
from contextlib import contextmanager
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from time import monotonic
from time import sleep
from typing import Any

from tests.servers.network.ports import free_port

TIMEOUT = 120.0
"""Seconds after which a server counts as hung, even on a very busy machine."""

Request = Callable[[HTTPConnection], int]
"""Sends one request on a connection and returns the status of the response."""


@contextmanager
def serving(arguments: Sequence[str], environment: Mapping[str, str], path: str) -> Iterator[int]:
    """Run a server on a port of this machine until the block ends.

    :param arguments: the arguments of the Python interpreter, with ``{port}`` for the port.
    :param path: the path to request until the server responds.
    :raises TimeoutError: if it does not respond.
    :raises RuntimeError: if it exits instead.
    """
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, *(argument.format(port=port) for argument in arguments)],
        env={**os.environ, **environment},
        cwd=Path(__file__).parents[1],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, port, path)
        yield port
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def connect(port: int) -> AbstractContextManager[HTTPConnection]:
    """A connection that is opened by its first request and closed at the end of the block."""
    return closing(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT))


def status(connection: HTTPConnection, method: str, path: str, body: str | None = None, headers: Any = None) -> int:
    """Send a request, read the response and return its status."""
    connection.request(method, path, body, headers or {})
    with connection.getresponse() as response:
        response.read()
        return response.status


def keep_busy(port: int, seconds: float, request: Request, *, clients: int) -> float:
    """Let all clients repeat ``request`` for a while, at least once; returns the responses per second.

    :raises RuntimeError: if a response is an error, or a client fails.
    """
    barrier = Barrier(clients)

    def client() -> int:
        barrier.wait(TIMEOUT)
        end = monotonic() + seconds
        answers = 0
        with connect(port) as connection:
            while not answers or monotonic() < end:
                if (answered := request(connection)) >= 400:
                    raise RuntimeError(f"the server has responded with status {answered}")
                answers += 1
        return answers

    started = monotonic()
    with ThreadPoolExecutor(clients) as threads:
        running = [threads.submit(client) for _ in range(clients)]
        return sum(one.result() for one in running) / (monotonic() - started)


def _wait_for(process: subprocess.Popen[bytes], port: int, path: str) -> None:
    give_up = monotonic() + TIMEOUT
    while monotonic() < give_up:
        if process.poll() is not None:
            raise RuntimeError(f"the server has exited with status {process.returncode} instead of serving")
        with suppress(OSError), connect(port) as connection:
            if status(connection, "GET", path) == 200:
                return
        sleep(0.05)
    raise TimeoutError(f"the server has not responded with 200 to {path} within {TIMEOUT:.0f} seconds")
