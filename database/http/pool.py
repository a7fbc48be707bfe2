"""A thread-safe pool of connections to one server, with errors that say whether a request may have been applied.

After a failed connect, nothing was applied. After a request was sent and its response lost or late, a write may have
been applied: :func:`~database.core.errors.lost_answer`. Requests are never retried here.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Mapping
from http.client import HTTPException
from threading import TIMEOUT_MAX
from threading import Semaphore
from typing import Final

from database.core.clock import monotonic
from database.core.errors import BackendError
from database.core.errors import ConnectFailed
from database.core.errors import InvalidQuery
from database.core.errors import PoolExhausted
from database.core.errors import TimedOut
from database.core.errors import lost_answer
from database.http.connection import Answer
from database.http.connection import AnswerTooLong
from database.http.connection import Connection
from database.http.connection import Origin
from database.http.connection import request_bytes

MAX_BYTES: Final = 256 * 1024 * 1024
"""The default size limit of a response, which protects the memory of the process."""

_IDLE: Final = 20.0
"""Seconds for which an unused connection is kept; gateways close theirs after a minute or more."""


class HttpPool:
    """A pool of connections to one server. It keeps no state between requests: no cookies, no credentials.

    It follows no redirects and uses no proxy.

    :param url: only its scheme, host and port are used.
    :param server: the server's name in errors, such as ``Convex``.
    :param kept: the most unused connections that are kept open.
    :param limit: the most concurrent connections; 0 for no limit.
    :raises ValueError: as :meth:`Origin.of`.
    """

    def __init__(self, url: str, server: str, kept: int, limit: int = 0) -> None:
        self.origin = Origin.of(url)
        self._server = server
        self._kept = kept
        self._free = Semaphore(limit) if limit else None
        self._idle: deque[Connection] = deque()
        self._closings = 0
        # Closes the sockets of a pool that is garbage collected, for example in a forked child.
        weakref.finalize(self, _close_all, self._idle).atexit = False

    def request(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes = b"",
        *,
        deadline: float,
        reads: bool,
        most: int = MAX_BYTES,
    ) -> Answer:
        """Send a request and receive its complete response.

        :param target: the path and the query, in quoted ASCII.
        :param headers: override ``Host``; ``Content-Length`` is added.
        :param deadline: for the complete response, head and body; monotonic seconds, ``inf`` for no limit.
        :param reads: whether the request certainly changes nothing, so that its outcome is known without a response.
        :param most: the most bytes of the response's body.
        :raises InvalidQuery: for a request that cannot be sent, and for a read whose response is too long.
        :raises ConnectFailed: if no connection could be opened; nothing was applied.
        :raises PoolExhausted: if no connection became free in time; nothing was sent.
        :raises TimedOut: if the deadline passed before the request was sent, or during a read's response.
        :raises Unavailable: if a read's response was lost.
        :raises OutcomeUnknown: if a write's response was lost, late or too long.
        """
        request = request_bytes(method, target, {"Host": self.origin.header, **headers}, body)
        if self._free is None:
            return self._exchange(method, request, deadline, most, reads=reads)
        self._acquire(self._free, deadline)
        try:
            return self._exchange(method, request, deadline, most, reads=reads)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close the connections. One in use is closed after its request; later requests open new ones."""
        self._closings += 1
        _close_all(self._idle)

    def _exchange(self, method: str, request: bytes, deadline: float, most: int, *, reads: bool) -> Answer:
        if deadline <= monotonic():
            raise TimedOut("the deadline passed before the request was sent")
        closings = self._closings
        connection = self._take_idle() or self._connect(deadline)
        kept = False
        try:
            connection.send(request, deadline)
            answer, usable = connection.receive(method, most)
            kept = usable and closings == self._closings
            return answer
        except (OSError, HTTPException) as error:
            raise self._translated(error, reads=reads) from error
        finally:
            if kept:
                self._keep(connection)
            else:
                connection.close()

    def _acquire(self, free: Semaphore, deadline: float) -> None:
        if not free.acquire(timeout=min(max(0.0, deadline - monotonic()), TIMEOUT_MAX)):
            raise PoolExhausted(f"no connection to {self._server} became free in time")

    def _take_idle(self) -> Connection | None:
        """Take the most recently used connection that can be reused."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if monotonic() - connection.idle_since < _IDLE and connection.is_silent():
                return connection
            connection.close()
        return None

    def _connect(self, deadline: float) -> Connection:
        try:
            return Connection(self.origin, deadline)
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"no connection to {self._server} could be opened; check its URL") from error

    def _keep(self, connection: Connection) -> None:
        connection.idle_since = monotonic()
        self._idle.append(connection)
        try:
            while len(self._idle) > self._kept or self._idle[0].idle_since + _IDLE < connection.idle_since:
                self._idle.popleft().close()
        except IndexError:
            return  # other threads have taken them meanwhile

    def _translated(self, error: OSError | HTTPException, *, reads: bool) -> BackendError | InvalidQuery:
        if isinstance(error, AnswerTooLong):
            return too_long(self._server, reads=reads)
        if isinstance(error, TimeoutError):
            return lost_answer(f"the response of {self._server} was not complete in time", reads=reads, late=True)
        return lost_answer(f"the connection to {self._server} was lost before the response was complete", reads=reads)


def too_long(server: str, *, reads: bool) -> BackendError | InvalidQuery:
    """The error for a response that exceeds the size limit."""
    if reads:
        return InvalidQuery(f"the response of {server} is too long; request fewer rows at a time")
    return lost_answer(f"the response of {server} is too long", reads=False)


def _close_all(connections: deque[Connection]) -> None:
    while connections:
        try:
            connections.pop().close()
        except IndexError:
            return
