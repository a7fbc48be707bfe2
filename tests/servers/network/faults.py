"""What a proxied connection can suffer.

A fault decides on everything that passes through a :class:`~tests.servers.network.proxy.FaultProxy`: new connections,
bytes of a request, bytes of a reply. The base class lets all of it through, and each fault changes one thing.
"""

from __future__ import annotations

import asyncio

from tests.servers.network.link import Link


class Fault:
    """Base of the faults, and the absence of any.

    :cvar listening: whether the port accepts connections at all.
    :cvar keeps_links: whether connections that exist when the fault sets in stay.
    :cvar tells: whether :attr:`fired` can be known.
    :ivar fired: whether anything suffered from it.
    """

    listening = True
    keeps_links = True
    tells = True

    def __init__(self) -> None:
        self._lifted = asyncio.Event()
        self.fired = False

    def lift(self) -> None:
        """End the fault; called in the proxy's thread."""
        self._lifted.set()

    async def admit(self, link: Link) -> None:
        """Decide on a new connection, before the server hears of it."""

    async def request(self, link: Link, data: bytes) -> None:
        """Handle bytes from the client."""
        await link.to_server(data)

    async def reply(self, link: Link, data: bytes) -> None:
        """Handle bytes from the server."""
        await link.to_client(data)


class Healthy(Fault):
    """No fault."""

    tells = False


class Refuse(Fault):
    """Nothing listens: connections are refused, and existing ones are reset."""

    listening = False
    keeps_links = False
    tells = False  # the kernel refuses, and tells nobody

    async def admit(self, link: Link) -> None:
        link.reset()  # it was accepted just before


class Reset(Fault):
    """Connections are accepted and reset at once, existing ones, too."""

    keeps_links = False

    async def admit(self, link: Link) -> None:
        self.fired = True
        link.reset()


class Blackhole(Fault):
    """Connections are accepted and nothing passes, without an error, as when a cable is pulled.

    What arrives meanwhile is held, and passes when the fault is lifted: so does TCP after a partition.
    """

    async def admit(self, link: Link) -> None:
        await self._held()

    async def request(self, link: Link, data: bytes) -> None:
        await self._held()
        await link.to_server(data)

    async def reply(self, link: Link, data: bytes) -> None:
        await self._held()
        await link.to_client(data)

    async def _held(self) -> None:
        self.fired = self.fired or not self._lifted.is_set()
        await self._lifted.wait()


class Latency(Fault):
    """Every chunk of a reply is late.

    :param seconds: by how much.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def reply(self, link: Link, data: bytes) -> None:
        self.fired = True
        await asyncio.sleep(self._seconds)
        await link.to_client(data)


class CutAfter(Fault):
    """A connection is reset in the middle of a reply.

    :param size: bytes of reply that still pass, counted over all connections.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._left = size

    async def reply(self, link: Link, data: bytes) -> None:
        passing, self._left = data[: self._left], max(self._left - len(data), 0)
        await link.to_client(passing)
        if len(passing) < len(data):
            self.fired = True
            link.reset()


class LoseReply(Fault):
    """A request reaches the server and is carried out, and instead of its reply the client gets a reset.

    :param request: bytes that the request must contain, such as ``b"COMMIT"`` in any case; others pass. By default any
        request.
    """

    def __init__(self, request: bytes = b"") -> None:
        super().__init__()
        self._request = request.lower()
        self._doomed: set[Link] = set()

    async def request(self, link: Link, data: bytes) -> None:
        if self._request in data.lower():
            self._doomed.add(link)
        await link.to_server(data)

    async def reply(self, link: Link, data: bytes) -> None:
        if link in self._doomed:
            self.fired = True
            link.reset()
        else:
            await link.to_client(data)
