"""Connections to one server, shared by all threads, and what is known when a request fails.

A failed connect means that nothing was applied. Once a request was sent and its answer is lost or late, a write may
have been applied or not: :func:`~database.core.errors.lost_answer`. Nothing is repeated here.
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
"""The longest answer that is read if nothing else is said; more would be a danger to the whole process."""

_IDLE: Final = 20.0
"""Seconds an unused connection is kept; gateways close theirs after a minute or more."""


class HttpPool:
    """Connections to one server. It keeps nothing of one request for the next: no cookies, no credentials.

    It follows no redirect and uses no proxy.

    :param url: its scheme, host and port count.
    :param server: what the server is called in errors, such as ``Convex``.
    :param kept: how many unused connections are kept open.
    :param limit: how many there may be at the same time; 0 for no limit.
    :raises ValueError: as :meth:`Origin.of`.
    """

    def __init__(self, url: str, server: str, kept: int, limit: int = 0) -> None:
        self.origin = Origin.of(url)
        self._server = server
        self._kept = kept
        self._free = Semaphore(limit) if limit else None
        self._idle: deque[Connection] = deque()
        self._closings = 0
        # A pool that is forgotten, in a forked child for example, leaves no open sockets behind.
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
        """Send a request and receive its whole answer.

        :param target: the path, with the query if there is one; in ASCII, quoted.
        :param headers: all but ``Host`` and ``Content-Length``; those given here count.
        :param deadline: for the whole answer, head and body; monotonic seconds, ``inf`` for no limit.
        :param reads: whether the request certainly changes nothing, so that a lost answer leaves no doubt.
        :param most: bytes of the answer's body.
        :raises InvalidQuery: for a request that cannot be sent, and for a read whose answer is too long.
        :raises ConnectFailed: if no connection could be made; nothing was applied.
        :raises PoolExhausted: if none became free in time; nothing was sent.
        :raises TimedOut: if the deadline had passed before, or a read's answer was not complete by then.
        :raises Unavailable: if a read's answer was lost.
        :raises OutcomeUnknown: if a write's answer was lost, late or too long.
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
        """Close the connections; one in use is closed after its request, and later requests make new ones."""
        self._closings += 1
        _close_all(self._idle)

    def _exchange(self, method: str, request: bytes, deadline: float, most: int, *, reads: bool) -> Answer:
        if deadline <= monotonic():
            raise TimedOut("the deadline had passed before the request was sent")
        closings = self._closings
        connection = self._taken() or self._made(deadline)
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

    def _taken(self) -> Connection | None:
        """The connection that was used last, if it can be used again."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:
                break
            if monotonic() - connection.idle_since < _IDLE and connection.is_silent():
                return connection
            connection.close()
        return None

    def _made(self, deadline: float) -> Connection:
        try:
            return Connection(self.origin, deadline)
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"no connection to {self._server} could be made") from error

    def _keep(self, connection: Connection) -> None:
        connection.idle_since = monotonic()
        self._idle.append(connection)
        try:
            while len(self._idle) > self._kept or self._idle[0].idle_since + _IDLE < connection.idle_since:
                self._idle.popleft().close()
        except IndexError:
            return  # others have taken them all meanwhile

    def _translated(self, error: OSError | HTTPException, *, reads: bool) -> BackendError | InvalidQuery:
        if isinstance(error, AnswerTooLong):
            return too_long(self._server, reads=reads)
        if isinstance(error, TimeoutError):
            return lost_answer(f"the answer of {self._server} was not complete in time", reads=reads, late=True)
        return lost_answer(f"the connection to {self._server} was lost before the answer was complete", reads=reads)


def too_long(server: str, *, reads: bool) -> BackendError | InvalidQuery:
    """The error for an answer with more bytes than are read."""
    if reads:
        return InvalidQuery(f"the answer of {server} is too long; ask for fewer rows at a time")
    return lost_answer(f"the answer of {server} is too long", reads=False)


def _close_all(connections: deque[Connection]) -> None:
    while connections:
        try:
            connections.pop().close()
        except IndexError:
            return
