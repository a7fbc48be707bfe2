"""One connection of HTTP/1.1, each of whose waits ends at the deadline of the request under way.

The time limits of sockets and of HTTP clients hold for one wait for the next bytes, so an answer that trickles in never
runs out of them. Here each connect, read and write gets what is left until the deadline. Answers are parsed by the
standard library; the clients that are built around it cost two to three times as much for a small request.
"""

from __future__ import annotations

import math
import os
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException
from http.client import HTTPMessage
from http.client import HTTPResponse
from http.client import IncompleteRead
from io import BufferedReader
from io import RawIOBase
from select import POLLIN
from select import poll
from typing import Any
from typing import Final
from typing import NamedTuple
from urllib.parse import urlsplit

import certifi

from database.core.clock import monotonic
from database.core.errors import InvalidQuery

CONNECT_SECONDS: Final = 5.0
"""The longest that making a connection may take."""

_PIECE: Final = 65_536
"""Bytes handed over at a time, so that a server that takes them slowly is noticed."""


class Answer(NamedTuple):
    """A whole answer. :ivar body: as it came; a ``Content-Encoding`` is not undone."""

    status: int
    headers: HTTPMessage
    body: bytes


class AnswerTooLong(HTTPException):
    """The answer has more bytes than were asked for at most."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a server is. :ivar host: for the connection: without brackets, and ASCII also where the name is not."""

    secure: bool
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """That of a URL. :raises ValueError: unless it is one of http or https with a host."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address of a server begins with http:// or https:// and names a host")
        secure = parts.scheme == "https"
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        return cls(secure, host, parts.port or (443 if secure else 80))

    @property
    def header(self) -> str:
        """The value of ``Host``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Connection:
    """Open from its making until :meth:`close`; used by one thread at a time.

    :param deadline: monotonic seconds; ``inf`` for no limit.
    :raises OSError: if it cannot be made; a ``TimeoutError`` if not in time.
    :ivar idle_since: monotonic seconds; kept by its pool.
    """

    def __init__(self, origin: Origin, deadline: float) -> None:
        self.idle_since = 0.0
        self._reading = self._surplus = self._ended = False
        self._deadline = min(deadline, monotonic() + CONNECT_SECONDS)
        self._socket = self._connected(origin)
        self._readable = poll()
        self._readable.register(self._socket, POLLIN)

    def send(self, request: bytes, deadline: float) -> None:
        """Send a whole request. Its answer has the same deadline."""
        self._deadline = deadline
        left = memoryview(request)
        while left:
            self._socket.settimeout(self._left())
            left = left[self._socket.send(left[:_PIECE]) :]

    def receive(self, method: str, most: int) -> tuple[Answer, bool]:
        """The answer to what was sent, and whether the connection can be used again.

        :param most: bytes of its body.
        :raises HTTPException: if it is no proper or no whole answer, or longer.
        """
        response = HTTPResponse(self, method=method)  # type: ignore[arg-type]  # which takes its makefile alone
        try:
            response.begin()
            if self._ended:
                # The standard library takes a head that was cut off for a whole one.
                raise HTTPException("the head of the answer was cut off")
            if response.status < 200:
                raise HTTPException("an interim answer came that was not asked for")
            body = _body(response, most)
            usable = not response.will_close and not self._surplus
            return Answer(response.status, response.headers, body), usable
        finally:
            response.close()

    def makefile(self, _: str) -> BufferedReader:
        """The stream that an answer is read from, as sockets have one."""
        self._reading = True
        self._surplus = self._ended = False
        return _Reader(_Stream(self))

    def read_into(self, buffer: Any) -> int:
        """Receive some bytes. :raises TimeoutError: at the deadline."""
        if not self._reading:
            return 0
        self._socket.settimeout(self._left())
        received = self._socket.recv_into(buffer)
        self._ended = not received
        return received

    def end_reading(self, reader: BufferedReader) -> None:
        """Note whether more came than belongs to the answer: a server that sends that is not to be asked again."""
        self._reading = False
        self._surplus = bool(reader.peek(1))

    def is_silent(self) -> bool:
        """Whether nothing has come since the last answer; else the server has closed, or sends what was not asked."""
        if self._readable.poll(0):
            return False
        # What TLS has decrypted already is not waiting in the kernel any more.
        return not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending())

    def close(self) -> None:
        """Close it, also while an answer is under way."""
        self._socket.close()

    def _left(self) -> float | None:
        if self._deadline == math.inf:
            return None
        seconds = self._deadline - monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds

    def _connected(self, origin: Origin) -> socket.socket:
        plain = self._reached(socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not origin.secure:
                return plain
            plain.settimeout(self._left())
            return _trust().wrap_socket(plain, server_hostname=origin.host)
        except BaseException:
            plain.close()
            raise

    def _reached(self, addresses: list[Any]) -> socket.socket:
        """A connection to the first address that takes one; each of them has its share of the time."""
        error: OSError = OSError("the host has no address")
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            plain = socket.socket(family, kind, protocol)
            try:
                left = self._left()
                plain.settimeout(left and left / (len(addresses) - tried))
                plain.connect(address)
            except OSError as failed:
                plain.close()
                error = failed
            except BaseException:
                plain.close()
                raise
            else:
                return plain
        raise error


class _Stream(RawIOBase):
    """What a connection receives. Closing it leaves the connection open."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.read_into(buffer)

    def end_reading(self, reader: BufferedReader) -> None:
        self._connection.end_reading(reader)


class _Reader(BufferedReader):
    """What an answer is read from, until its last byte was."""

    raw: _Stream

    def close(self) -> None:
        if not self.closed:
            self.raw.end_reading(self)
        super().close()


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """A request as it is sent.

    :param headers: all but ``Content-Length``.
    :raises InvalidQuery: for a character that would end a line or begin another one.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method not in {"GET", "HEAD"}:
        lines.append(f"Content-Length: {len(body)}")
    head = "\n".join(lines)
    if head.count("\n") >= len(lines) or "\r" in head or "\0" in head or " " in target:
        raise InvalidQuery("the address or a header of a request has a character that HTTP does not allow there")
    try:
        return head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body
    except UnicodeEncodeError:
        # Its own error would show the header.
        raise InvalidQuery("the address or a header of a request has a character that HTTP does not allow") from None


def _body(response: HTTPResponse, most: int) -> bytes:
    if response.length is not None:
        if response.length > most:
            raise AnswerTooLong
        return response.read()
    body = response.read(most + 1)
    if len(body) > most:
        raise AnswerTooLong
    if not response.isclosed() and not response.will_close:
        raise IncompleteRead(body)
    return body


@cache
def _trust() -> ssl.SSLContext:
    """Whom to trust: the system's authorities and certifi's, or only those that SSL_CERT_FILE or SSL_CERT_DIR name."""
    context = ssl.create_default_context()
    if not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
