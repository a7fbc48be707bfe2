"""Ports that stay ours while their server is down."""

from __future__ import annotations

import errno
import random
import socket
from pathlib import Path

_EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 15_000
_HIGHEST = 32_768
_TRIES = 100


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on.

    It lies below the ephemeral ports. The system hands those to outgoing connections, which could take the port of a
    server that is down for a moment, or let a client that tries to reach it connect to itself.

    :raises OSError: no port is free.
    """
    highest = int(_EPHEMERAL_PORTS.read_text().split()[0]) if _EPHEMERAL_PORTS.exists() else _HIGHEST
    candidates = range(_LOWEST, max(highest, _LOWEST + _TRIES))
    for port in random.sample(candidates, _TRIES):
        if _is_free(port):
            return port
    raise OSError(errno.EADDRINUSE, "no free port for a test server")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
    return True
