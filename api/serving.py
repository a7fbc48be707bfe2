"""The production server: processes with threads, which finish what they have begun when they are told to stop."""

from __future__ import annotations

import atexit
import logging
import os
import signal
import socket
import threading
from multiprocessing import parent_process
from multiprocessing.connection import wait

from granian import Granian
from granian.constants import Interfaces

from config.settings import ConfigurationError
from config.settings import Settings

_GRACE = 5


def serve(target: str, settings: Settings) -> None:
    """Serve an application until the process gets SIGINT or SIGTERM; requests under way are answered first.

    :param target: ``module:function`` that makes the application, called once in every server process.
    :raises ConfigurationError: if nothing can listen at ``HOST`` and ``PORT``.
    """
    server = Granian(
        target,
        address=settings.host,
        port=_free_port(settings.host, settings.port),
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        websockets=False,
        factory=True,
        respawn_failed_workers=True,
        # A request that ignores its own time limit shall not keep the process from stopping.
        workers_kill_timeout=int(settings.request_timeout) + _GRACE if settings.request_timeout else None,
    )
    _wake_for_signals()
    server.serve()


def enter_worker() -> None:
    """Prepare a server process: it logs to the standard error, and stops if its main process is gone.

    Processes left over from a killed server would go on answering at its port.
    """
    # Until Granian has its own handlers, the main process's inherited ones would swallow the order to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    _wake_for_signals()
    logging.basicConfig(level=logging.INFO, format="[%(levelname)s] %(name)s: %(message)s")
    # It would log the whole URL of every request to a database, and with it what was looked for.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    threading.Thread(target=_stop_with_parent, name="isthmus-parent", daemon=True).start()


def _wake_for_signals() -> None:
    """Have the main thread wake up every second, and with it what waits there for a signal.

    Python runs handlers in the main thread alone, and a signal does not wake it while it is about to fall asleep on a
    lock: the order to stop would never be heard.
    """
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
    # Without a handler, which Python takes away at its end, the next alarm would kill the process.
    atexit.register(signal.setitimer, signal.ITIMER_REAL, 0)


def _stop_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


def _free_port(host: str, port: int) -> int:
    """``port``, or any free one for 0. Granian's processes share theirs, and would share it with a second server too.

    :raises ConfigurationError: if it is taken, or the host is not this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        raise ConfigurationError({"HOST and PORT": f"cannot listen at {host}:{port}: {error.strerror}"}) from error
