"""An HTTP server that answers whatever a test wants: what gateways and broken networks send, and projects rarely."""

from __future__ import annotations

import json
import socketserver
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPMessage
from http.client import parse_headers
from threading import Event
from threading import Thread
from typing import Any
from typing import Self

from tests.servers.network.link import HOST


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: HTTPMessage
    body: bytes


Answer = Callable[[Asked], Iterable[bytes]]
"""The bytes of an answer, in the pieces in which they are sent. The connection stays open for another request if the
first piece has a ``Content-Length`` and no ``Connection: close``."""


class ScriptedServer:
    """Listens on a port of 127.0.0.1 during a block.

    :ivar answer: what it answers to every request.
    :ivar asked: the requests so far.
    """

    def __init__(self) -> None:
        self.answer: Answer = answering(200, [])
        self.asked: list[Asked] = []
        self._server = _Server((HOST, 0), _Handler)
        self._server.scripted = self
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._server.server_address[1]
        return port

    @property
    def url(self) -> str:
        """The same as an address."""
        return f"http://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def answering(status: int, content: Any, **headers: str) -> Answer:
    """A whole answer; content that is not bytes is sent as JSON."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda _: [head(status, len(body), **headers) + body]


def trickling(seconds: float, *, from_the_head: bool) -> Answer:
    """An answer that takes ``seconds``, a byte at a time: all of it, or what comes behind its head."""
    whole = head(200, 1_000) + b"[" + b" " * 998 + b"]"
    start = 0 if from_the_head else whole.index(b"[")

    def answer(_: Asked) -> Iterator[bytes]:
        if start:
            yield whole[:start]
        for position in range(start, len(whole)):
            Event().wait(seconds / (len(whole) - start))
            yield whole[position : position + 1]

    return answer


def head(status: int, length: int | None, **headers: str) -> bytes:
    """The head of an answer; in header names, ``_`` stands for ``-``."""
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return "\r\n".join([*lines, "", ""]).encode()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64
    scripted: ScriptedServer


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        try:
            while self._exchange():
                pass
        except OSError:
            return  # the client has gone, as clients with deadlines do

    def _exchange(self) -> bool:
        line = self.rfile.readline().decode().split()
        if not line:
            return False
        headers = parse_headers(self.rfile)
        body = self.rfile.read(int(headers.get("content-length", 0)))
        asked = Asked(line[0], line[1], headers, body)
        self.server.scripted.asked.append(asked)
        first = b""
        for piece in self.server.scripted.answer(asked):
            self.wfile.write(piece)
            first = first or piece
        return b"Content-Length" in first and b"Connection: close" not in first
