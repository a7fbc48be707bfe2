"""An HTTP/1.1 connection with one deadline for a whole request and its response.

The timeouts of sockets and of HTTP clients limit the wait for the next bytes, so that a response that trickles in never
times out. Here each connect, read and write may take the time that is left until the deadline. The standard library
parses responses; full HTTP clients take two to three times as long for a small request.
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
"""The longest time for opening a connection."""

_PIECE: Final = 65_536
"""Bytes per send, so that the deadline is checked while a server receives slowly."""


class Answer(NamedTuple):
    """A complete response. :ivar body: as received; ``Content-Encoding`` is not decoded."""

    status: int
    headers: HTTPMessage
    body: bytes


class AnswerTooLong(HTTPException):
    """The body of the response is larger than allowed."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The origin of a URL. :ivar host: the host to connect to: without brackets, and IDNA-encoded."""

    secure: bool
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of ``url``. :raises ValueError: unless it is an http or https URL with a host."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the URL of a server must begin with http:// or https:// and have a host")
        secure = parts.scheme == "https"
        host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        return cls(secure, host, parts.port or (443 if secure else 80))

    @property
    def header(self) -> str:
        """The value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"


class Connection:
    """A connection, opened by the constructor and used by one thread at a time.

    :param deadline: monotonic seconds; ``inf`` for no limit.
    :raises OSError: if it cannot be opened; ``TimeoutError`` at the deadline.
    :ivar idle_since: monotonic seconds; set by its pool.
    """

    def __init__(self, origin: Origin, deadline: float) -> None:
        self.idle_since = 0.0
        self._reading = self._surplus = self._ended = False
        self._deadline = min(deadline, monotonic() + CONNECT_SECONDS)
        self._socket = self._connect(origin)
        self._readable = poll()
        self._readable.register(self._socket, POLLIN)

    def send(self, request: bytes, deadline: float) -> None:
        """Send a whole request. The deadline also applies to its response."""
        self._deadline = deadline
        left = memoryview(request)
        while left:
            self._socket.settimeout(self._left())
            left = left[self._socket.send(left[:_PIECE]) :]

    def receive(self, method: str, most: int) -> tuple[Answer, bool]:
        """Receive the response. :returns: it, and whether the connection can be reused.

        :param most: the most bytes of its body.
        :raises HTTPException: if the response is malformed, incomplete or too long.
        """
        response = HTTPResponse(self, method=method)  # type: ignore[arg-type]  # which only calls its makefile
        try:
            response.begin()
            if self._ended:
                # The standard library accepts a truncated head as complete.
                raise HTTPException("the head of the response was truncated")
            if response.status < 200:
                raise HTTPException("the server sent an interim response that was not requested")
            body = _body(response, most)
            usable = not response.will_close and not self._surplus
            return Answer(response.status, response.headers, body), usable
        finally:
            response.close()

    def makefile(self, _: str) -> BufferedReader:
        """The stream of a response; the standard library expects this method of a socket."""
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
        """Check for bytes after the response: a connection with such bytes must not be reused."""
        self._reading = False
        self._surplus = bool(reader.peek(1))

    def is_silent(self) -> bool:
        """Whether nothing was received since the last response; otherwise the server closed or sent unexpected data."""
        if self._readable.poll(0):
            return False
        # Data that TLS has already decrypted is not in the kernel's buffer any more.
        return not (isinstance(self._socket, ssl.SSLSocket) and self._socket.pending())

    def close(self) -> None:
        """Close the connection, even during a response."""
        self._socket.close()

    def _left(self) -> float | None:
        if self._deadline == math.inf:
            return None
        seconds = self._deadline - monotonic()
        if seconds <= 0:
            raise TimeoutError("the deadline has passed")
        return seconds

    def _connect(self, origin: Origin) -> socket.socket:
        plain = self._connect_to_any(socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM))
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not origin.secure:
                return plain
            plain.settimeout(self._left())
            return _trust().wrap_socket(plain, server_hostname=origin.host)
        except BaseException:
            plain.close()
            raise

    def _connect_to_any(self, addresses: list[Any]) -> socket.socket:
        """Connect to the first address that accepts; the time is divided among the addresses."""
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
    """The bytes that a connection receives. Closing it leaves the connection open."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._connection.read_into(buffer)

    def end_reading(self, reader: BufferedReader) -> None:
        self._connection.end_reading(reader)


class _Reader(BufferedReader):
    """The buffered stream of one response; the standard library closes it after the last byte."""

    raw: _Stream

    def close(self) -> None:
        if not self.closed:
            self.raw.end_reading(self)
        super().close()


def request_bytes(method: str, target: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Encode a request.

    :param headers: all headers except ``Content-Length``.
    :raises InvalidQuery: for a character that would allow injecting headers or requests.
    """
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body or method not in {"GET", "HEAD"}:
        lines.append(f"Content-Length: {len(body)}")
    head = "\n".join(lines)
    if head.count("\n") >= len(lines) or "\r" in head or "\0" in head or " " in target:
        raise InvalidQuery("the path or a header of a request contains a character that HTTP does not allow")
    try:
        return head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body
    except UnicodeEncodeError:
        # The codec's own error would reveal the header.
        raise InvalidQuery("the path or a header of a request contains a character that HTTP does not allow") from None


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
    """A TLS context that trusts the system's and certifi's CAs, or only those of SSL_CERT_FILE or SSL_CERT_DIR."""
    context = ssl.create_default_context()
    if not {"SSL_CERT_FILE", "SSL_CERT_DIR"} & os.environ.keys():
        context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context
