"""HTTP whose every wait ends at the request's deadline.

The time limits of HTTP clients hold for one wait for the next bytes, so an answer that trickles in never runs out
of them. Here each connect, read and write gets what is left until the deadline.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from dataclasses import field
from http.cookiejar import CookieJar
from http.cookiejar import DefaultCookiePolicy
from ssl import SSLContext
from typing import Any

import httpcore
import httpx

from database.adapters.postgres.sqlstates import lost
from database.core.clock import monotonic
from database.core.errors import ConnectFailed
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import PoolExhausted
from database.core.errors import TimedOut

_PIECE = 65_536
"""Bytes written at a time, so that a server that takes them slowly is noticed."""

_IDLE = 20.0
"""Seconds an unused connection is kept; gateways close theirs after a minute or more."""


@dataclass(slots=True)
class Exchange:
    """One request of this thread and what is known of its answer.

    :ivar deadline: monotonic seconds; ``inf`` for no limit.
    :ivar writes: whether the request may change something, so that a lost answer leaves its outcome unknown.
    :ivar status: the HTTP status of the answer; 0 before there is one.
    :ivar body: the answer's body, decompressed.
    """

    deadline: float = math.inf
    writes: bool = False
    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    body: bytes = b""

    def left(self, error: type[httpcore.TimeoutException], limit: float | None = None) -> float | None:
        """Seconds for the next wait; None for no limit. Raises ``error`` if the deadline has passed."""
        if self.deadline == math.inf:
            return limit
        seconds = self.deadline - monotonic()
        if seconds <= 0:
            raise error("the deadline has passed")
        return seconds if limit is None else min(seconds, limit)


_UNLIMITED = Exchange()
_current: ContextVar[Exchange] = ContextVar("isthmus_http_exchange", default=_UNLIMITED)


@contextmanager
def exchange(deadline: float, *, writes: bool) -> Iterator[Exchange]:
    """The requests of the block end at ``deadline``, or at that of a block around it if it is earlier; yields what is
    learned of their answers.
    """
    current = Exchange(min(deadline, _current.get().deadline), writes)
    token = _current.set(current)
    try:
        yield current
    finally:
        _current.reset(token)


def http_client(max_connections: int) -> httpx.Client:
    """A pooled HTTP/1.1 client that keeps nothing of one request for the next: no cookies, no credentials.

    :param max_connections: at the same time; 0 for no limit.
    """
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    transport = _Transport(max_connections or None, httpx.create_ssl_context())
    return httpx.Client(transport=transport, cookies=no_cookies, trust_env=False)


class _Transport(httpx.BaseTransport):
    """Sends requests through a connection pool and reads their answers to the end."""

    def __init__(self, max_connections: int | None, ssl_context: SSLContext) -> None:
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context,
            max_connections=max_connections,
            max_keepalive_connections=max_connections,
            keepalive_expiry=_IDLE,
            network_backend=DeadlineNetwork(),
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        current = _current.get()
        try:
            answer = self._pool.request(
                request.method,
                httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=request.read(),
                extensions={"timeout": {"pool": current.left(httpcore.PoolTimeout)}},
            )
        except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise _translated(error, writes=current.writes) from error
        response = httpx.Response(answer.status, headers=answer.headers, stream=httpx.ByteStream(answer.content))
        current.status, current.headers = response.status_code, response.headers
        current.body = response.read()
        return response

    def close(self) -> None:
        self._pool.close()


def _translated(error: Exception, *, writes: bool) -> DataError:
    if isinstance(error, httpcore.PoolTimeout):
        return PoolExhausted("no connection to the project became free in time")
    if isinstance(error, httpcore.ConnectError | httpcore.ConnectTimeout):
        return ConnectFailed("no connection to the project could be made")
    if not isinstance(error, httpcore.TimeoutException):
        return lost(may_have_applied=writes)
    if writes:
        return OutcomeUnknown("the write was not confirmed before the deadline")
    return TimedOut("the answer was not complete before the deadline")


class DeadlineNetwork(httpcore.NetworkBackend):
    """Connections whose waits end at the deadline of the :func:`exchange` that uses them."""

    def __init__(self) -> None:
        self._sockets = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        seconds = _current.get().left(httpcore.ConnectTimeout, timeout)
        return _Stream(self._sockets.connect_tcp(host, port, seconds, local_address, socket_options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _current.get().left(httpcore.ReadTimeout, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            seconds = _current.get().left(httpcore.WriteTimeout, timeout)
            self._stream.write(buffer[start : start + _PIECE], seconds)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        seconds = _current.get().left(httpcore.ConnectTimeout, timeout)
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
