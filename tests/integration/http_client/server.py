"""A server that sends bytes as a test wants them, over TCP or TLS."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from collections.abc import Iterable
from contextlib import suppress
from threading import Event
from threading import Thread
from typing import IO
from typing import Self

HOST = "127.0.0.1"
PATIENCE = 30.0
"""Seconds after which a test that hangs fails; nothing is measured by it."""

Pieces = Callable[[], Iterable[bytes]]
"""The pieces in which an answer is sent; an empty one ends the connection."""


def whole(body: bytes, *headers: str, status: int = 200) -> Pieces:
    """A proper answer."""
    lines = [f"HTTP/1.1 {status} So", *headers, f"Content-Length: {len(body)}", "", ""]
    return lambda: ["\r\n".join(lines).encode() + body]


def raw(*pieces: bytes) -> Pieces:
    """Just these bytes."""
    return lambda: pieces


def trickling(answer: bytes, over: Event) -> Pieces:
    """A byte in twenty milliseconds, until the test is over."""

    def pieces() -> Iterable[bytes]:
        for position in range(len(answer)):
            if over.wait(0.02):
                return
            yield answer[position : position + 1]

    return pieces


class RawServer:
    """Listens during a block.

    :param context: for TLS.
    :ivar answers: what it answers with, one after the other; the last one goes on.
    :ivar asked: the requests so far, whole.
    :ivar connections: how many were made.
    """

    def __init__(self, *answers: Pieces, context: ssl.SSLContext | None = None) -> None:
        self.answers = list(answers)
        self.asked: list[bytes] = []
        self.connections = 0
        self._context = context
        self._listener = socket.create_server((HOST, 0))
        self._thread = Thread(target=self._accept)
        self._threads: list[Thread] = []
        self._clients: list[socket.socket] = []

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'https' if self._context else 'http'}://{HOST}:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)
        self._listener.close()
        for client in self._clients:
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(PATIENCE)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self.connections += 1
                self._clients.append(client)
                self._threads.append(Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        # Clients with deadlines go away, and those that do not trust the certificate as well.
        with client, suppress(OSError):
            if self._context is None:
                self._answer(client)
            else:
                with self._context.wrap_socket(client, server_side=True) as secure:
                    self._answer(secure)

    def _answer(self, client: socket.socket) -> None:
        with client.makefile("rb") as stream:
            while request := _request(stream):
                self.asked.append(request)
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
                for piece in answer():
                    if not piece:
                        return
                    client.sendall(piece)


def _request(stream: IO[bytes]) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (stream.read(int(lengths[0][15:])) if lengths else b"")
