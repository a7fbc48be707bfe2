"""Reception of request bodies: limits on the time of each and on the bytes of all, and no thread while one waits."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from api.server.gateway import Scope
from database.core.clock import monotonic

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]

BUDGET = 64 << 20
"""Maximum bytes of all incomplete bodies together, or twice the maximum of one body if that is more."""


FIRST = "isthmus.first"
"""Key of the scope for a first message that was received before the event loop got the request; its value is None if
the message did not arrive in time."""
_NONE: Message = {}


class TooSlow(Exception):
    """The body did not arrive in time."""


class Gone(Exception):
    """The client has disconnected, or sent something other than a body."""


class Arrived:
    """Waits for the first message of a request without the event loop, until the message or the timeout.

    It is a callback and not a future: the server's futures keep a reference to whatever waits for them, so a waiting
    future, and the request's connection with it, would never be released.
    """

    def __init__(self, waiting: dict[Arrived, float], arrived: Callable[[Message | None], None]) -> None:
        self._waiting = waiting
        self._arrived = arrived
        self._future: Any = None

    def wait_for(self, future: Any) -> None:
        """Wait for a future, which calls this object when it is done."""
        self._future = future
        future.add_done_callback(self)

    def __call__(self, future: Any) -> None:
        self._future = None
        if self._waiting.pop(self, None) is not None:
            self._arrived(future.result())

    def give_up(self) -> None:
        """Stop waiting."""
        future, self._future = self._future, None
        if self._waiting.pop(self, None) is not None:
            if future is not None:
                future.cancel()
            self._arrived(None)


class Bodies:
    """Receives the request bodies of a process.

    :param seconds: time limit of each body; None for no limit.
    :param largest: maximum bytes of the body of a request. Of a larger body, one byte more is read.
    :param most: the largest of these maxima.
    """

    def __init__(self, seconds: float | None, largest: Callable[[Scope], int], most: int) -> None:
        self._seconds = seconds
        self._largest = largest
        self._budget = max(BUDGET, 2 * most)
        self._size = 0
        self._arriving: dict[asyncio.Timeout, None] = {}
        self._beginning: dict[Arrived, float] = {}

    def takes(self, scope: Scope, length: int) -> bool:
        """Whether a body of this length is read."""
        return length <= self._largest(scope)

    def begin(self, receive: Receive, arrived: Callable[[Message | None], None]) -> None:
        """Call ``arrived`` with the first message, in the thread that receives it, or with None after the time limit.

        :param receive: returns an awaitable that is also a future.
        """
        first = Arrived(self._beginning, arrived)
        self._beginning[first] = monotonic() + (math.inf if self._seconds is None else self._seconds)
        first.wait_for(receive())

    def expire(self) -> None:
        """Give up the first messages whose time is over. The caller repeats this regularly."""
        now = monotonic()
        for first, until in list(self._beginning.items()):
            if until > now:
                # They are ordered by time.
                break
            first.give_up()

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """Receive the request's body. It returns nothing if the declared length is too large; the application then
        rejects the request.

        :raises TooSlow: if the body does not arrive in time, or the bytes of all bodies exceed their limit.
        :raises Gone: if the client disconnects.
        """
        length = declared_length(scope)
        if length == 0 or (length is not None and not self.takes(scope, length)):
            return b""
        first = scope.get(FIRST, _NONE)
        if first is None:
            raise TooSlow
        timer = asyncio.timeout(self._seconds)
        try:
            async with timer:
                self._arriving[timer] = None
                return await self._collect(receive, length, first, self._largest(scope))
        except TimeoutError:
            raise TooSlow from None
        finally:
            self._arriving.pop(timer, None)

    def drop(self) -> None:
        """Stop waiting for all incomplete bodies, now and from now on."""
        self._seconds = 0.0
        for timer in self._arriving:
            timer.reschedule(0.0)
        for first in list(self._beginning):
            first.give_up()

    async def _collect(self, receive: Receive, length: int | None, message: Message, largest: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            while size <= largest:
                message = message or await receive()
                if message["type"] != "http.request":
                    raise Gone
                piece, more = message.get("body", b""), message.get("more_body", False)
                message = {}
                pieces.append(piece)
                size += len(piece)
                self._size += len(piece)
                # Do not wait for the final, empty message: it would take as long again.
                if size == length or not more:
                    break
                self._make_room()
        finally:
            self._size -= size
        return b"".join(pieces)[: largest + 1]

    def _make_room(self) -> None:
        """Give up the oldest body if the limit is exceeded. Normal clients send their bodies quickly."""
        if self._size > self._budget:
            next(iter(self._arriving)).reschedule(0.0)


def declared_length(scope: Scope) -> int | None:
    """The declared length of a request's body; 0 without a body, None for a chunked body."""
    length: int | None = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length
