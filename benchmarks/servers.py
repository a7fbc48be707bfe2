"""Production servers side by side: ``python -m benchmarks.servers [--seconds N] [--rounds N]``.

Each serves the application with an SQLite file of its own to clients that keep their connections open, on the
same machine: the figures compare the servers, they are no limit of the application.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Barrier
from time import monotonic
from time import sleep
from typing import Any

from tests.servers.ports import free_port

CLIENTS = 8
TIMEOUT = 30.0

Request = Callable[[HTTPConnection], int]
"""Sends one request on an open connection and returns the answer's status."""


@dataclass(frozen=True, slots=True)
class Server:
    """A way to serve the application.

    :ivar needs: the module that must be installed.
    :ivar arguments: of the Python interpreter, with ``{port}`` for the port.
    """

    name: str
    needs: str
    arguments: tuple[str, ...]


def _gunicorn(workers: int, threads: int) -> Server:
    options = ("--worker-class", "gthread", "--workers", str(workers), "--threads", str(threads))
    command = ("-m", "gunicorn", *options, "--bind", "127.0.0.1:{port}", "app:create_app()")
    return Server(f"gunicorn gthread {workers} x {threads}", "gunicorn", command)


def _granian(workers: int, threads: int) -> Server:
    options = ("--interface", "wsgi", "--workers", str(workers), "--blocking-threads", str(threads), "--no-ws")
    command = ("-m", "granian", *options, "--host", "127.0.0.1", "--port", "{port}", "--factory", "app:create_app")
    return Server(f"granian {workers} x {threads}", "granian", command)


SERVERS = (_gunicorn(1, 8), _gunicorn(2, 4), _granian(1, 8), _granian(2, 4))


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients of a round saw.

    :ivar rate: answers a second.
    :ivar slow: the 99th percentile of an answer's time in seconds.
    """

    rate: float
    slow: float


def main() -> None:
    """Measure every server that is installed, in interleaved rounds, and print a Markdown table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long a round lasts")
    parser.add_argument("--rounds", type=int, default=3, help="how often each server is measured")
    arguments = parser.parse_args()
    servers = [server for server in SERVERS if find_spec(server.needs)]
    loads: dict[tuple[str, str], list[Load]] = {}
    for _ in range(arguments.rounds):
        for server in random.sample(servers, len(servers)):
            for name, load in _measure(server, arguments.seconds):
                loads.setdefault((server.name, name), []).append(load)
    print("| server | request | answers/s (range) | p99 |\n|---|---|---:|---:|")
    for (server_name, name), seen in sorted(loads.items()):
        rates = [load.rate for load in seen]
        slow = statistics.median(load.slow for load in seen)
        spread = f"{statistics.median(rates):,.0f} ({min(rates):,.0f}-{max(rates):,.0f})"
        print(f"| {server_name} | {name} | {spread} | {slow * 1000:.1f} ms |")


def _measure(server: Server, seconds: float) -> Iterator[tuple[str, Load]]:
    with _serving(server) as port:
        token = _call(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT), "POST", "/auth/register", _ACCOUNT)
        headers = {"Authorization": f"Bearer {token['access_token']}", "Content-Type": "application/json"}
        record = _call(HTTPConnection("127.0.0.1", port, timeout=TIMEOUT), "POST", "/api/molecules", _RECORD, headers)
        path = f"/api/molecules/{record['id']}"
        yield "GET record", _load(port, seconds, lambda connection: _status(connection, "GET", path))
        body = json.dumps(_RECORD)
        yield (
            "POST create",
            _load(port, seconds, lambda connection: _status(connection, "POST", "/api/molecules", body, headers)),
        )


_ACCOUNT = {"email": "load@example.org", "password": "correct horse battery"}
_RECORD = {"name": "water", "formula": "H2O", "properties": {"mass": 18.015}}
_JSON = {"Content-Type": "application/json"}


@contextmanager
def _serving(server: Server) -> Iterator[int]:
    """The server, answering on a port of this machine, until the block ends."""
    port = free_port()
    with TemporaryDirectory() as folder:
        files = {"LOCAL_DB_PATH": f"{folder}/load.db", "INSTANCE_PATH": folder}
        command = [sys.executable, *(argument.format(port=port) for argument in server.arguments)]
        process = subprocess.Popen(
            command,
            env={**os.environ, **files, "ENVIRONMENT": "testing"},
            cwd=Path(__file__).parents[1],
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield port
        finally:
            process.terminate()
            process.wait(TIMEOUT)


def _wait_for(port: int) -> None:
    give_up = monotonic() + TIMEOUT
    while monotonic() < give_up:
        with suppress(OSError):
            if _status(HTTPConnection("127.0.0.1", port, timeout=1), "GET", "/livez") == 200:
                return
        sleep(0.05)
    raise TimeoutError("the server does not answer")


def _load(port: int, seconds: float, request: Request) -> Load:
    """Let all clients repeat ``request`` for a while. :raises RuntimeError: if an answer is an error."""
    times: list[float] = []
    failures: list[str] = []
    barrier = Barrier(CLIENTS)

    def client() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        own: list[float] = []
        barrier.wait(TIMEOUT)
        end = monotonic() + seconds
        while (started := monotonic()) < end:
            status = request(connection)
            own.append(monotonic() - started)
            if status >= 400:
                failures.append(f"status {status}")
                return
        times.extend(own)

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(failures[0])
    return Load(len(times) / seconds, statistics.quantiles(times, n=100)[98])


def _status(connection: HTTPConnection, method: str, path: str, body: str | None = None, headers: Any = None) -> int:
    connection.request(method, path, body, headers or {})
    with connection.getresponse() as response:
        response.read()
        return response.status


def _call(connection: HTTPConnection, method: str, path: str, body: Any, headers: Any = None) -> Any:
    connection.request(method, path, json.dumps(body), headers or _JSON)
    with connection.getresponse() as response:
        return json.load(response)


if __name__ == "__main__":
    main()
