"""Server-Sent Events: responses that go on while there is news, and take no thread while there is none.

The server in ``api/server`` waits for the :class:`Bell` of such a response in its event loop. Any other server waits in
the thread that reads the response.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from threading import Event
from threading import Lock
from typing import Any
from typing import Final

from flask import Response
from flask import current_app
from flask import request

from database import BackendError
from database import SerializationFailure
from database.core.clock import Clock
from database.core.clock import monotonic

BELL: Final = "isthmus.bell"
"""Key of the WSGI environment for the :class:`Bell` that a streamed response waits for after each of its pieces."""

HEARTBEAT: Final = 15.0
"""Seconds until a stream looks for news without having been rung for, and tells the client that it is alive."""

LONGEST: Final = 600.0
"""Seconds after which a stream ends. The client connects again, so that it is asked again who it is."""

MEDIA_TYPE: Final = "text/event-stream"

_RETRY: Final = b"retry: 1000\n\n"
_ALIVE: Final = b":\n\n"
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}


class Bell:
    """Wakes the one stream that waits for it: when it is rung, and after :data:`HEARTBEAT` seconds without that.

    It begins as if it had been rung. Any thread may ring it.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._rung = Event()
        self._rung.set()
        self._wake: Callable[[], object] | None = None
        self._due = clock() + HEARTBEAT

    def ring(self) -> None:
        """Wake the stream, or let it go on when it waits the next time."""
        with self._lock:
            self._rung.set()
            wake, self._wake = self._wake, None
        if wake is not None:
            wake()

    def when_rung(self, wake: Callable[[], object]) -> float:
        """Have ``wake`` called at the next ring, once, or now if it has been rung.

        :returns: the seconds after which the stream goes on without a ring.
        """
        with self._lock:
            rung = self._rung.is_set()
            self._wake = None if rung else wake
        if rung:
            wake()
        return max(0.0, self._due - self._clock())

    def wait(self) -> None:
        """Wait in this thread. Who has waited with :meth:`when_rung` before does not wait again."""
        self._rung.wait(max(0.0, self._due - self._clock()))
        self._rung.clear()
        self._due = self._clock() + HEARTBEAT


@dataclass(frozen=True, slots=True)
class Message:
    """An event of a stream.

    :ivar event: its name, without line breaks.
    :ivar id: by which the client goes on after it; None if it cannot.
    :ivar data: has a JSON form.
    """

    event: str
    data: Any
    id: str | None = None


@dataclass(frozen=True, slots=True)
class News:
    """What a stream sends next.

    :ivar more: there is more already.
    :ivar over: this was the last of it.
    """

    messages: list[Message]
    more: bool = False
    over: bool = False


def live(
    read: Callable[[], News], bell: Bell, ringing: AbstractContextManager[object], clock: Clock = monotonic
) -> Response:
    """A response of the messages that ``read`` returns, each time that the bell is rung.

    While a backend does not answer, the stream goes on without messages.

    :param read: is called in several threads, one at a time, with the caller of the request.
    :param ringing: while it is entered, the bell is rung.
    """
    request.environ[BELL] = bell
    # Not the proxy: the messages are written when the request is over.
    pieces = _pieces(read, bell, ringing, current_app.json.dumps, clock)
    return Response(pieces, mimetype=MEDIA_TYPE, headers=_HEADERS)


def last_event_id() -> str | None:
    """The id of the last message that a client got that connects again; None at its first connection."""
    given = request.headers.get("Last-Event-ID")
    # Headers are decoded as Latin-1, and browsers send UTF-8.
    return given.encode("latin-1").decode(errors="replace") if given else None


def _pieces(
    read: Callable[[], News],
    bell: Bell,
    ringing: AbstractContextManager[object],
    dumps: Callable[[Any], str],
    clock: Clock,
) -> Iterator[bytes]:
    until = clock() + LONGEST
    yield _RETRY
    with ringing:
        while clock() < until:
            bell.wait()
            news = _read(read)
            if news.more or news.over:
                # There is a next piece, or the end, which must not wait for a heartbeat.
                bell.ring()
            yield b"".join(_written(message, dumps) for message in news.messages) or _ALIVE
            if news.over:
                return


def _read(read: Callable[[], News]) -> News:
    try:
        return read()
    except (BackendError, SerializationFailure):
        # Cut, it could not be resumed now: a browser gives up when it connects again and gets an error.
        return News([])


def _written(message: Message, dumps: Callable[[Any], str]) -> bytes:
    # JSON has no line breaks outside of its texts, where they are escaped.
    place = "" if message.id is None else f"id: {message.id}\n"
    return f"{place}event: {message.event}\ndata: {dumps(message.data)}\n\n".encode()
