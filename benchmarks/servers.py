"""Production servers side by side: ``python -m benchmarks.servers [--seconds N] [--rounds N]``.

Each serves the application with an SQLite file of its own to clients that keep their connections open, on the
same machine: the figures compare the servers, they are no limit of the application.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from importlib.util import find_spec
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.load import Load
from benchmarks.load import Request
from benchmarks.load import connect
from benchmarks.load import keep_busy
from benchmarks.load import serving
from benchmarks.load import status

CLIENTS = 8


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
        token = _call(connect(port), "POST", "/auth/register", _ACCOUNT)
        headers = {"Authorization": f"Bearer {token['access_token']}", "Content-Type": "application/json"}
        record = _call(connect(port), "POST", "/api/molecules", _RECORD, headers)
        path = f"/api/molecules/{record['id']}"
        body = json.dumps(_RECORD)
        requests: dict[str, Request] = {
            "GET record": lambda connection: status(connection, "GET", path),
            "POST create": lambda connection: status(connection, "POST", "/api/molecules", body, headers),
        }
        for name, request in requests.items():
            yield name, keep_busy(port, seconds, request, clients=CLIENTS)


_ACCOUNT = {"email": "load@example.org", "password": "correct horse battery"}
_RECORD = {"name": "water", "formula": "H2O", "properties": {"mass": 18.015}}
_JSON = {"Content-Type": "application/json"}


@contextmanager
def _serving(server: Server) -> Iterator[int]:
    with TemporaryDirectory() as folder:
        files = {"LOCAL_DB_PATH": f"{folder}/load.db", "INSTANCE_PATH": folder}
        with serving(server.arguments, {**files, "ENVIRONMENT": "testing"}, "/livez") as port:
            yield port


def _call(connection: HTTPConnection, method: str, path: str, body: Any, headers: Any = None) -> Any:
    connection.request(method, path, json.dumps(body), headers or _JSON)
    with connection.getresponse() as response:
        return json.load(response)


if __name__ == "__main__":
    main()
