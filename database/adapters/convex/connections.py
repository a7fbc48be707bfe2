"""Pooled HTTP connections whose answers end in time.

A socket's time limit holds for one wait for the next bytes, so an answer that trickles in never runs out of it. Here
the read timeout of a request is the time for its whole answer, from the first byte of its head to the last of its body.
"""

from __future__ import annotations

from http.client import HTTPResponse
from io import BufferedReader
from io import RawIOBase
from socket import socket
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.connection import HTTPSConnection
from urllib3.util import parse_url

from database.core.clock import monotonic


def connection_pool(url: str, connections: int) -> urllib3.HTTPConnectionPool:
    """A pool that repeats nothing by itself. A pool of one host saves a third of what urllib3 does for a request.

    :param url: its scheme, host and port count.
    :param connections: how many are kept open.
    """
    address = parse_url(url)
    kind = _HttpsPool if address.scheme == "https" else _HttpPool
    return kind(address.host or "", address.port, maxsize=connections, retries=False)


class _BoundedStream(RawIOBase):
    """What a socket receives until a deadline; a read that begins or waits beyond it raises ``TimeoutError``."""

    def __init__(self, stream: RawIOBase, connection: socket, deadline: float) -> None:
        self._stream = stream
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("the answer was not complete at the deadline")
        self._connection.settimeout(left)
        return self._stream.readinto(buffer)

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        self._stream.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """An answer for which there is as much time as the socket has for one wait when it begins."""

    def __init__(self, sock: socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        limit = sock.gettimeout()
        if limit is not None:
            self.fp = BufferedReader(_BoundedStream(self.fp.detach(), sock, monotonic() + limit))


class _HttpConnection(HTTPConnection):
    response_class = _BoundedResponse


class _HttpsConnection(HTTPSConnection):
    response_class = _BoundedResponse


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection
