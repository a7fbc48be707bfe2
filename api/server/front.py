"""The ASGI front of the application in a server process: only a complete request takes a thread.

The event loop receives the bodies and sends the responses. Lanes share the threads: requests that change something
leave some threads to reads, and probes have threads of their own.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

import orjson
from flask import Flask

from api.evaluations import is_output
from api.http.live import Bell
from api.http.problem import BLANK
from api.http.problem import Problem
from api.operations.health import ALIVE
from api.operations.health import ENDPOINTS
from api.operations.health import UNCACHED
from api.server.arriving import FIRST
from api.server.arriving import Bodies
from api.server.arriving import Gone
from api.server.arriving import Message
from api.server.arriving import Receive
from api.server.arriving import TooSlow
from api.server.arriving import declared_length
from api.server.gateway import Headers
from api.server.gateway import Scope
from api.server.gateway import WsgiCall
from api.server.threads import Job
from api.server.threads import Lane
from api.server.threads import Threads
from api.storage import PREFIX
from config.settings import Settings
from database.flask_scope import SAFE_METHODS

logger = logging.getLogger(__name__)

Send = Callable[[Message], Awaitable[None]]

PROBE_THREADS = 2

_PROBES = frozenset(f"/{name}" for name in ENDPOINTS)
_ALIVE = orjson.dumps(ALIVE)
_ALIVE_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_ALIVE)).encode())]
_ALIVE_HEADERS += [(name.lower().encode(), value.encode()) for name, value in UNCACHED.items()]
_BEGUN = "isthmus.begun"
_TICK = 0.2
_CLOSE = {"Connection": "close"}
_TOO_SLOW = "The request's body did not arrive in time; send the request again"
_BUSY = "No thread was free in time; nothing was done, so send the request again"
_ENDING = "The server is stopping; send the request again"


class Overloaded(Exception):
    """No thread was free before the request's deadline; nothing was done."""


class Front:
    """An ASGI 3 application around a Flask application, for one event loop.

    :param settings: ``THREADS``, ``BODY_TIMEOUT``, ``MAX_BODY_BYTES`` and ``REQUEST_TIMEOUT``.
    """

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._loop = asyncio.get_running_loop()
        self._threads = Threads(
            settings.threads, "isthmus-request", settings.threads, settings.threads, most_writers(settings.threads)
        )
        self._streams, self._reads, self._writes = self._threads.lanes
        self._probes = Threads(PROBE_THREADS, "isthmus-probe", PROBE_THREADS)
        most = max(settings.max_body_bytes, settings.storage.max_body_bytes, settings.storage.max_output_bytes)
        self._bodies = Bodies(settings.body_timeout or None, _largest(settings), most)
        self._app = app
        self._limit = settings.request_timeout or math.inf
        self._ending = False
        self._active = 0
        self._expire()

    async def end(self) -> None:
        """Drop the incomplete requests, and return when all others have their responses."""
        self._ending = True
        self._bodies.drop()
        while self._active or not self._threads.idle:  # noqa: ASYNC110 - threads change it, which cannot set an Event
            await asyncio.sleep(_TICK / 10)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["path"] == "/livez" and scope["method"] == "GET":
            await _send(send, 200, _ALIVE_HEADERS, _ALIVE)
            return
        try:
            body = b"" if _BEGUN in scope else await self._bodies.read(scope, receive)
        except Gone:
            return
        except TooSlow:
            await self._refuse(send, *((503, _ENDING) if self._ending else (408, _TOO_SLOW)))
            return
        self._active += 1
        try:
            await self._answer(scope, body, receive, send)
        finally:
            self._active -= 1

    def answer_directly(self, scope: Scope, receive: Receive, send: Send, otherwise: Callable[[], None]) -> bool:
        """Handle a request without the event loop, which is faster. Return whether that is possible.

        :param receive: ASGI's callable; it returns an awaitable that is also a future.
        :param send: ASGI's callable; its result need not be awaited.
        :param otherwise: passes the request to the event loop; called if the body has several pieces, the response is
            a stream, or a time limit was exceeded.
        """
        if scope["path"] in _PROBES:
            return False
        length = declared_length(scope)
        if length == 0:
            self._perform(scope, b"", send, otherwise)
        elif length is None or not self._bodies.takes(scope, length):
            return False
        else:
            self._begin(scope, length, receive, send, otherwise)
        return True

    def _begin(self, scope: Scope, length: int, receive: Receive, send: Send, otherwise: Callable[[], None]) -> None:
        """Handle the request when the body has arrived in one piece, which is the usual case."""

        def arrived(message: Message | None) -> None:
            if message is not None and len(message.get("body", b"")) == length:
                self._perform(scope, message["body"], send, otherwise)
            else:
                scope[FIRST] = message
                otherwise()

        self._bodies.begin(receive, arrived)

    def _perform(self, scope: Scope, body: bytes, send: Send, otherwise: Callable[[], None]) -> None:
        began = self._loop.time()
        call = WsgiCall(self._app.wsgi_app, scope, body, began)

        def work() -> None:
            try:
                piece, more = call.next_piece()
            except BaseException:
                _send_now(send, *self._refusal(500))
                raise
            if more:
                scope[_BEGUN] = (call, piece)
                otherwise()
            else:
                _send_now(send, call.status, call.headers, piece)

        def give_up() -> None:
            scope[_BEGUN] = None
            otherwise()

        self._threads.perform(Job(self._lane(scope), began + self._limit, work, give_up))

    async def _answer(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        try:
            call, piece, more = await self._first_piece(scope, body)
        except Overloaded:
            await self._refuse(send, 503, _BUSY)
            return
        if more:
            await self._stream(call, piece, receive, send)
        else:
            await _send(send, call.status, call.headers, piece)

    async def _first_piece(self, scope: Scope, body: bytes) -> tuple[WsgiCall, bytes, bool]:
        """Call the application; the call, its first piece, and whether more follow.

        :raises Overloaded: if no thread was free.
        """
        if _BEGUN in scope:
            if scope[_BEGUN] is None:
                raise Overloaded
            return *scope[_BEGUN], True
        began = self._loop.time()
        call = WsgiCall(self._app.wsgi_app, scope, body, began)
        probing = scope["path"] in _PROBES
        threads, lane = (self._probes, self._probes.lanes[0]) if probing else (self._threads, self._lane(scope))
        piece, more = await self._run(threads, lane, call.next_piece, began + self._limit)
        return call, piece, more

    def _lane(self, scope: Scope) -> Lane:
        return self._reads if scope["method"] in SAFE_METHODS else self._writes

    async def _run(self, threads: Threads, lane: Lane, work: Callable[[], Any], until: float) -> Any:
        """Run ``work`` in a thread; its result or exception."""
        future: asyncio.Future[Any] = self._loop.create_future()

        def do() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - the waiting coroutine raises it
                # An exception that ends a thread, such as SystemExit, would end the event loop.
                failure = error if isinstance(error, Exception) else RuntimeError(repr(error))
                self._loop.call_soon_threadsafe(future.set_exception, failure)
            else:
                self._loop.call_soon_threadsafe(future.set_result, result)

        threads.submit(Job(lane, until, do, lambda: future.set_exception(Overloaded())))
        return await future

    def _expire(self) -> None:
        for threads in (self._threads, self._probes):
            threads.expire(self._loop.time())
        self._bodies.expire()
        self._loop.call_later(_TICK, self._expire)

    async def _stream(self, call: WsgiCall, piece: bytes, receive: Receive, send: Send) -> None:
        """Send a response piece by piece. A client that reads slowly occupies no thread."""
        gone = asyncio.create_task(_wait_for_disconnect(receive))
        try:
            await send({"type": "http.response.start", "status": call.status, "headers": call.headers})
            more = True
            while more and not gone.done():
                sending = asyncio.ensure_future(_send_piece(send, piece))
                await asyncio.wait((sending, gone), timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
                if not sending.done() or (call.bell is not None and not await self._rung(call.bell, gone)):
                    break
                piece, more = await self._run(self._threads, self._streams, call.next_piece, math.inf)
            if not more:
                await send({"type": "http.response.body", "body": piece})
                return
            await self._run(self._threads, self._streams, call.close, math.inf)
            # Returning here would end the response, which would look complete to the client.
            with self._idly():
                await gone
        finally:
            gone.cancel()

    async def _rung(self, bell: Bell, gone: asyncio.Task[None]) -> bool:
        """Wait for the next piece without a thread; whether the client has waited, too."""
        rung = asyncio.Event()
        seconds = bell.when_rung(lambda: self._loop.call_soon_threadsafe(rung.set))
        ringing = asyncio.create_task(rung.wait())
        with self._idly():
            await asyncio.wait((ringing, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        ringing.cancel()
        return not gone.done()

    @contextmanager
    def _idly(self) -> Iterator[None]:
        """A wait for somebody else, which must not keep the process from stopping: it does not count as active."""
        self._active -= 1
        try:
            yield
        finally:
            self._active += 1

    @property
    def _timeout(self) -> float | None:
        return None if math.isinf(self._limit) else self._limit

    async def _refuse(self, send: Send, status: int, detail: str) -> None:
        await _send(send, *self._refusal(status, detail))

    def _refusal(self, status: int, detail: str | None = None) -> tuple[int, Headers, bytes]:
        headers = {**_CLOSE, "Retry-After": "1"} if status == HTTPStatus.SERVICE_UNAVAILABLE else _CLOSE
        with self._app.app_context():
            response = Problem(status, BLANK, HTTPStatus(status).phrase, detail, headers=headers).response()
        return status, _raw(response.headers.items()), response.get_data()


def most_writers(threads: int) -> int:
    """The number of ``threads`` that requests with changes may use at a time, at least one."""
    return max(1, threads - max(1, threads // 4))


def _largest(settings: Settings) -> Callable[[Scope], int]:
    """The maximum bytes of the body of a request: values of stores and outputs of evaluations may be larger."""
    storage = settings.storage

    def largest(scope: Scope) -> int:
        if scope["method"] == "PUT" and scope["path"].startswith(f"{PREFIX}/"):
            return storage.max_body_bytes
        return storage.max_output_bytes if is_output(scope["method"], scope["path"]) else settings.max_body_bytes

    return largest


def _raw(headers: Iterable[tuple[str, str]]) -> Headers:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _send_now(send: Send, status: int, headers: Headers, body: bytes) -> None:
    """:func:`_send` for a thread: the server sends before it returns the awaitable."""
    send({"type": "http.response.start", "status": status, "headers": headers})
    send({"type": "http.response.body", "body": body})


async def _send_piece(send: Send, piece: bytes) -> None:
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
