"""The production server: processes with threads, which finish their requests when they stop."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import resource
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import parent_process
from multiprocessing.connection import wait
from typing import Any

from flask import Flask
from granian import Granian
from granian import _futures
from granian.constants import HTTPModes
from granian.constants import Interfaces
from granian.http import HTTP1Settings

from api.server.arriving import Arrived
from api.server.arriving import Receive
from api.server.front import Front
from api.server.front import Send
from api.server.gateway import Scope
from config.settings import ConfigurationError
from config.settings import Settings
from database import translation
from database.core.first_use import load
from database.core.lifecycle import in_background

MAX_CONNECTIONS = 4096
"""Maximum connections of a process. Further connections wait in the kernel until one ends."""
_MAX_HEAD = 128 << 10
_OTHER_FILES = 256
_NO_TIMEOUT = 86_400.0
_PASSING = 2
"""Threads of the server that only pass on messages, in addition to those that handle requests directly."""
_FLUSHING = 1.0


def serve(target: str, settings: Settings) -> None:
    """Serve an application until the process gets SIGINT or SIGTERM. Running requests get their responses first.

    :param target: ``module:function`` that creates the application, called once in every server process.
    :raises ConfigurationError: if the server cannot listen on ``HOST`` and ``PORT``.
    """
    server = Granian(
        target,
        address=settings.host,
        port=_free_port(settings.host, settings.port),
        interface=Interfaces.ASGI,
        # In the other modes it waits for a connection's first byte without a timeout.
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=int((settings.body_timeout or _NO_TIMEOUT) * 1000), max_buffer_size=_MAX_HEAD
        ),
        workers=settings.workers,
        backpressure=_connections(),
        websockets=False,
        factory=True,
        respawn_failed_workers=True,
        workers_kill_timeout=settings.stop_timeout,
    )
    _load_for_requests()
    server.on_startup(lambda: setattr(server, "blocking_threads", settings.threads + _PASSING))
    _wake_for_signals()
    server.serve()


class AsgiApplication:
    """The ASGI 3 application of a server process: its requests and its lifespan.

    After a signal to stop, the process ends as soon as the running requests have their responses, whatever other
    connections are open.
    """

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._front: Front | None = None
        self._ending: asyncio.Task[None] | None = None
        _bypass_event_loop(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, or the lifespan events of the process."""
        if self._front is not None and scope["type"] == "http":
            await self._front(scope, receive, send)
        elif scope["type"] == "lifespan":
            await receive()
            self._start()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    def answer_directly(self, scope: Scope, receive: Receive, send: Send, otherwise: Callable[[], None]) -> bool:
        """See :meth:`Front.answer_directly`."""
        if self._front is None or scope["type"] != "http":
            return False
        return self._front.answer_directly(scope, receive, send, otherwise)

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        _call_arrivals_directly(loop)
        front = self._front = Front(self._app, self._settings)
        # In addition to the server's own handlers, which are in the event loop.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(self._end, front))

    def _end(self, front: Front) -> None:
        if self._ending is None:
            self._ending = asyncio.create_task(self._exit_when_done(front))

    async def _exit_when_done(self, front: Front) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, self._settings.stop_timeout - 2 * _FLUSHING)):
                await front.end()
        # Time to flush the responses. The server's own shutdown would wait for idle and slow clients.
        await asyncio.sleep(_FLUSHING)
        logging.shutdown()
        os._exit(0)


def enter_worker() -> None:
    """Prepare a server process: it logs to standard error, and stops if its main process ends.

    The processes of a killed server would otherwise keep serving its port.
    """
    # Until Granian installs its handlers, those inherited from the main process would swallow the signal to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _wake_for_signals()
    _load_for_requests()
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s] %(name)s: %(message)s")
    # httpx would log the URL of every request to a database, which contains filter values.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    in_background("isthmus-parent", _stop_with_parent)


def _load_for_requests() -> None:
    """Import the SQL translation, so that no request waits for it.

    Before the fork, so that the processes share its memory. The adapters have imported the backends.
    """
    load(translation)


def _wake_for_signals() -> None:
    """Wake the main thread every second, so that it runs pending signal handlers.

    Python runs handlers in the main thread only. A signal that arrives just before that thread waits for a lock does
    not wake it, so a signal to stop could be ignored.
    """
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
    # Python removes the handler at exit, and an alarm without a handler would kill the process.
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)


def _stop_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _bypass_event_loop(worker: AsgiApplication) -> None:
    """Patch the server to pass each request to ``answer_directly`` before the event loop.

    It saves two thread switches, which makes a request 1.4 times as fast. The server has no public hook for it.
    """
    in_loop = _futures._cbsched_aioschedule

    def scheduling(loop: Any, context: Any, callback: Any) -> Callable[[Any], None]:
        schedule = in_loop(loop, context, callback)  # type: ignore[no-untyped-call]

        def schedule_or_answer(watcher: Any) -> None:
            proto = watcher.proto
            if not worker.answer_directly(watcher.scope, proto.receive, proto.send, lambda: schedule(watcher)):
                schedule(watcher)

        return schedule_or_answer

    _futures._cbsched_aioschedule = scheduling


def _call_arrivals_directly(loop: Any) -> None:
    """Patch the event loop to call an ``Arrived`` at once, in the thread that would schedule it.

    The server's futures call their callbacks by these methods of the loop.
    """
    for name in ("call_soon", "call_soon_threadsafe"):
        setattr(loop, name, _calling(getattr(loop, name)))


def _calling(pass_on: Callable[..., Any]) -> Callable[..., Any]:
    def call(callback: Callable[..., Any], *args: Any, context: Any = None) -> Any:
        return callback(*args) if type(callback) is Arrived else pass_on(callback, *args, context=context)

    return call


def _connections() -> int:
    """The maximum number of connections of a process, within its limit of open files.

    Without a free file descriptor, the server would retry in a busy loop.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MAX_CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(1, min(MAX_CONNECTIONS, soft - _OTHER_FILES))


def _free_port(host: str, port: int) -> int:
    """``port``, or a free port for 0. The check is needed because Granian would share the port with a second server.

    :raises ConfigurationError: if the port is in use, or the host is not this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise ConfigurationError({"HOST and PORT": f"cannot listen on {host}:{port}: {error.strerror}"}) from error
