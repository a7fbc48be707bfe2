"""Bodies of requests as they arrive: each within a time, all together within a number of bytes, none in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Any

from api.gateway import Scope

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]

BUDGET = 64 << 20
"""Bytes that unfinished bodies may have together, unless one alone may have more."""


class TooSlow(Exception):
    """The body was not there in time."""


class Gone(Exception):
    """The client is gone, or has sent what is no body."""


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

    async def read(self, scope: Scope, receive: Receive) -> bytes:
        """The request's body; nothing if it says that it is too large, which is the application's to refuse.

        :raises TooSlow: if it is not there in time, or others need its place. :raises Gone: if there is none to come.
        """
        length = declared_length(scope)
        if length == 0 or (length is not None and length > self._largest):
            return b""
        timer = asyncio.timeout(self._seconds)
        try:
            async with timer:
                self._arriving[timer] = None
                return await self._collect(receive, length)
        except TimeoutError:
            raise TooSlow from None
        finally:
            self._arriving.pop(timer, None)

    def drop(self) -> None:
        """Wait no longer for those that are arriving, and for none that comes."""
        self._seconds = 0.0
        for timer in self._arriving:
            timer.reschedule(0.0)

    async def _collect(self, receive: Receive, length: int | None) -> bytes:
        pieces: list[bytes] = []
        size = 0
        try:
            while size <= self._largest:
                message = await receive()
                if message["type"] != "http.request":
                    raise Gone
                piece = message.get("body", b"")
                pieces.append(piece)
                size += len(piece)
                self._size += len(piece)
                # Asked for more, the server would take as long again to say that there is none.
                if size == length or not message.get("more_body", False):
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
