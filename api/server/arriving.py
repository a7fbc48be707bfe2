"""Bodies of requests as they arrive: each within a time, all together within a number of bytes, none in a thread."""

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
"""Bytes that unfinished bodies may have together, unless one alone may have more."""


FIRST = "isthmus.first"
"""Where a request has its first message, if that was received before it was given to the event loop; None if it did not
come in time."""
_NONE: Message = {}


class TooSlow(Exception):
    """The body was not there in time."""


class Gone(Exception):
    """The client is gone, or has sent what is no body."""


class Arrived:
    """Waits for the first message of a request, without the event loop.

    Of the message and the end of its time, the one that comes first counts. The server's futures keep what waits for
    them: with a future of its own it would live for ever, and the request's connection with it.
    """

    def __init__(self, waiting: dict[Arrived, float], arrived: Callable[[Message | None], None]) -> None:
        self._waiting = waiting
        self._arrived = arrived
        self._future: Any = None

    def wait_for(self, future: Any) -> None:
        """Wait for a future, which calls this when it is done."""
        self._future = future
        future.add_done_callback(self)

    def __call__(self, future: Any) -> None:
        self._future = None
        if self._waiting.pop(self, None) is not None:
            self._arrived(future.result())

    def give_up(self) -> None:
        """Wait no longer."""
        future, self._future = self._future, None
        if self._waiting.pop(self, None) is not None:
            if future is not None:
                future.cancel()
            self._arrived(None)


class Bodies:
    """The bodies that arrive in a process.

    :param seconds: that each may take; None for any number.
    :param largest: bytes that the application takes. Of more, no more than one byte beyond is read.
    """

    def __init__(self, seconds: float | None, largest: int) -> None:
        self._seconds = seconds
        self._largest = largest
        self._budget = max(BUDGET, 2 * largest)
        self._size = 0
        self._arriving: dict[asyncio.Timeout, None] = {}
        self._beginning: dict[Arrived, float] = {}

    def takes(self, length: int) -> bool:
        """Whether a body of so many bytes is read."""
        return length <= self._largest

    def begin(self, receive: Receive, arrived: Callable[[Message | None], None]) -> None:
        """Call ``arrived`` with the first message, in the thread that has it; with None if its time is over.

        :param receive: what it returns is a future, too.
        """
        first = Arrived(self._beginning, arrived)
        self._beginning[first] = monotonic() + (math.inf if self._seconds is None else self._seconds)
        first.wait_for(receive())

    def expire(self) -> None:
        """End the waiting for first messages whose time is over. Called now and then."""
        now = monotonic()
        for first, until in list(self._beginning.items()):
            if until > now:
                # They are in the order of time.
                break
            first.give_up()

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """The request's body; nothing if it says that it is too large, which is the application's to refuse.

        :raises TooSlow: if it is not there in time, or others need its place. :raises Gone: if there is none to come.
        """
        length = declared_length(scope)
        if length == 0 or (length is not None and not self.takes(length)):
            return b""
        first = scope.get(FIRST, _NONE)
        if first is None:
            raise TooSlow
        timer = asyncio.timeout(self._seconds)
        try:
            async with timer:
                self._arriving[timer] = None
                return await self._collect(receive, length, first)
        except TimeoutError:
            raise TooSlow from None
        finally:
            self._arriving.pop(timer, None)

    def drop(self) -> None:
        """Wait no longer for those that are arriving, and for none that comes."""
        self._seconds = 0.0
        for timer in self._arriving:
            timer.reschedule(0.0)
        for first in list(self._beginning):
            first.give_up()

    async def _collect(self, receive: Receive, length: int | None, message: Message) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            while size <= self._largest:
                message = message or await receive()
                if message["type"] != "http.request":
                    raise Gone
                piece, more = message.get("body", b""), message.get("more_body", False)
                message = {}
                pieces.append(piece)
                size += len(piece)
                self._size += len(piece)
                # Asked for more, the server would take as long again to say that there is none.
                if size == length or not more:
                    break
                self._make_room()
        finally:
            self._size -= size
        return b"".join(pieces)[: self._largest + 1]

    def _make_room(self) -> None:
        """Give up the one that has had the most time. Honest ones are done in a moment."""
        if self._size > self._budget:
            next(iter(self._arriving)).reschedule(0.0)


def declared_length(scope: Scope) -> int | None:
    """The length that a request says its body has; 0 if it has none, None if that shows at its end."""
    length: int | None = 0
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return None
        if name == b"content-length":
            length = int(value)
    return length
