"""Clients on this machine that keep a server busy, and how the server is started."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from threading import Barrier
from time import monotonic
from time import sleep
from typing import Any

from tests.servers.ports import free_port

TIMEOUT = 30.0

Request = Callable[[HTTPConnection], int]
"""Sends one request on a connection and returns the answer's status."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients of a round saw.

    :ivar rate: answers a second.
    :ivar slow: the 99th percentile of an answer's time in seconds.
    """

    rate: float
    slow: float


@contextmanager
def serving(arguments: Sequence[str], environment: Mapping[str, str], path: str) -> Iterator[int]:
    """A server, answering on a port of this machine, until the block ends.

    :param arguments: of the Python interpreter, with ``{port}`` for the port.
    :param path: what is asked for, to see whether the server answers.
    :raises TimeoutError: if it does not.
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
        _wait_for(port, path)
        yield port
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def connect(port: int) -> HTTPConnection:
    """A connection that is made with its first request."""
    return HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)


def status(connection: HTTPConnection, method: str, path: str, body: str | None = None, headers: Any = None) -> int:
    """Send a request, read the answer and return its status."""
    connection.request(method, path, body, headers or {})
    with connection.getresponse() as response:
        response.read()
        return response.status


def keep_busy(port: int, seconds: float, request: Request, *, clients: int) -> Load:
    """Let all clients repeat ``request`` for a while. :raises RuntimeError: if an answer is an error."""
    times: list[float] = []
    failures: list[str] = []
    barrier = Barrier(clients)

    def client() -> None:
        connection = connect(port)
        own: list[float] = []
        barrier.wait(TIMEOUT)
        end = monotonic() + seconds
        while (started := monotonic()) < end:
            answered = request(connection)
            own.append(monotonic() - started)
            if answered >= 400:
                failures.append(f"status {answered}")
                return
        times.extend(own)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    return Load(len(times) / seconds, statistics.quantiles(times, n=100)[98])


def _wait_for(port: int, path: str) -> None:
    give_up = monotonic() + TIMEOUT
    while monotonic() < give_up:
        with suppress(OSError):
            if status(connect(port), "GET", path) == 200:
                return
        sleep(0.05)
    raise TimeoutError("the server does not answer")
