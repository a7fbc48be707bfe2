"""The official client's HTTP transport: the project's connection pool, and a deadline for all requests of a block."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from dataclasses import field
from http.cookiejar import CookieJar
from http.cookiejar import DefaultCookiePolicy

import httpx

from database.core.errors import lost_answer
from database.http.connection import Answer
from database.http.connection import Origin
from database.http.pool import MAX_BYTES
from database.http.pool import HttpPool
from database.http.pool import too_long

_KEPT = 16
"""Unused connections kept open if the number of connections has no limit."""

_OURS = frozenset({"host", "content-length", "transfer-encoding"})
"""Headers that the pool sets itself."""

_PIECE = 65_536
"""Bytes decompressed at a time, so that the length limit takes effect during decompression."""


@dataclass(slots=True)
class Exchange:
    """One request of this thread and its response.

    :ivar deadline: monotonic seconds; ``inf`` for no limit.
    :ivar writes: whether the request may write, so that a lost response leaves its outcome unknown.
    :ivar status: the HTTP status of the response; 0 before it arrives.
    :ivar body: the response's body, decompressed.
    """

    deadline: float = math.inf
    writes: bool = False
    status: int = 0
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    body: bytes = b""


_UNLIMITED = Exchange()
_current: ContextVar[Exchange] = ContextVar("isthmus_http_exchange", default=_UNLIMITED)


@contextmanager
def exchange(deadline: float, *, writes: bool) -> Iterator[Exchange]:
    """Set the deadline for the requests of the block; yields an object that receives the last response."""
    current = Exchange(deadline, writes)
    token = _current.set(current)
    try:
        yield current
    finally:
        _current.reset(token)


def http_client(url: str, max_connections: int) -> httpx.Client:
    """A client for one server that keeps no state between requests: no cookies, no credentials.

    :param url: the server's URL.
    :param max_connections: maximum number of concurrent connections; 0 for no limit.
    """
    no_cookies = CookieJar(policy=DefaultCookiePolicy(allowed_domains=()))
    pool = HttpPool(url, "the Supabase project", max_connections or _KEPT, max_connections)
    return httpx.Client(transport=_Transport(pool), cookies=no_cookies, trust_env=False)


class _Transport(httpx.BaseTransport):
    """Sends requests through a connection pool and reads the whole response."""

    def __init__(self, pool: HttpPool) -> None:
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        current = _current.get()
        if Origin.of(str(request.url)) != self._pool.origin:
            raise lost_answer(
                "the Supabase project redirected the request to another server; check SUPABASE_URL",
                reads=not current.writes,
            )
        reads = not current.writes
        answer = self._pool.request(
            request.method,
            request.url.raw_path.decode("ascii"),
            {name: value for name, value in request.headers.items() if name not in _OURS},
            request.read(),
            deadline=current.deadline,
            reads=reads,
        )
        response = _response(answer, reads=reads)
        current.status, current.headers, current.body = response.status_code, response.headers, response.content
        return response

    def close(self) -> None:
        self._pool.close()


def _response(answer: Answer, *, reads: bool) -> httpx.Response:
    """The response for the official client, decompressed."""
    headers = httpx.Headers(answer.headers.items())
    if "content-encoding" not in headers:
        return httpx.Response(answer.status, headers=headers, content=answer.body)
    pieces, length = [], 0
    for piece in httpx.Response(answer.status, headers=headers, stream=_Pieces(answer.body)).iter_bytes():
        pieces.append(piece)
        length += len(piece)
        if length > MAX_BYTES:
            raise too_long("the Supabase project", reads=reads)
    del headers["content-encoding"]
    return httpx.Response(answer.status, headers=headers, content=b"".join(pieces))


class _Pieces(httpx.SyncByteStream):
    """A body in pieces."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(self._body), _PIECE):
            yield self._body[start : start + _PIECE]
