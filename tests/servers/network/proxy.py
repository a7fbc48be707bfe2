"""A TCP proxy that injects faults into real connections."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread
from typing import Any
from typing import Final
from typing import Self

from tests.servers.network.faults import Fault
from tests.servers.network.faults import Healthy
from tests.servers.network.faults import Refuse
from tests.servers.network.link import HOST
from tests.servers.network.link import Link
from tests.servers.network.ports import free_port

_TIMEOUT: Final = 10.0  # seconds for a call into the proxy's thread; only a broken one needs them


class FaultProxy:
    """Stands between clients and a server of 127.0.0.1, on a port of its own, in a thread of its own.

    Every method returns when its effect is there.

    :param upstream: the server's port; nothing need listen there, clients are reset then.
    :ivar port: where clients connect.
    :ivar accepted: how many connections have been accepted so far.
    """

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.port = free_port()
        self.accepted = 0
        self._fault: Fault = Healthy()
        self._links: dict[asyncio.Task[None], Link] = {}
        self._server: asyncio.Server | None = None
        self._closing = asyncio.Event()
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="fault-proxy", daemon=True)
        self._thread.start()
        self._loop.result(_TIMEOUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set(self, fault: Fault) -> None:
        """Replace the fault that is in force; a fault can be used once."""
        self._call(self._replace(fault))

    def heal(self) -> None:
        """End the fault that is in force."""
        self.set(Healthy())

    @contextmanager
    def suffering(self, fault: Fault) -> Iterator[Fault]:
        """Have ``fault`` in force during a block.

        :raises AssertionError: at its end, if nothing suffered from the fault: the block has proved nothing.
        """
        self.set(fault)
        try:
            yield fault
        finally:
            self.heal()
        if fault.tells and not fault.fired:
            raise AssertionError(f"the fault {type(fault).__name__} never happened: nothing came that it acts on")

    def kill_connections(self) -> None:
        """Reset all connections that exist; new ones are not affected."""
        self._call(self._reset_links())

    def close(self) -> None:
        """Reset all connections and end the proxy."""
        if self._thread.is_alive():
            self._loop.result().call_soon_threadsafe(self._closing.set)
            self._thread.join(_TIMEOUT)

    def _call(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop.result()).result(_TIMEOUT)

    async def _serve(self) -> None:
        try:
            await self._listen()
        except OSError as error:
            self._loop.set_exception(error)
            return
        self._loop.set_result(asyncio.get_running_loop())
        await self._closing.wait()
        await self._replace(Refuse())

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def _stop_listening(self) -> None:
        if self._server is None:
            return
        # A connection that is half accepted when its server closes is lost, and never closed: first accept no more.
        for listener in self._server.sockets:
            asyncio.get_running_loop().remove_reader(listener.fileno())
        await asyncio.sleep(0)
        self._server.close()
        self._server = None

    async def _replace(self, fault: Fault) -> None:
        before, self._fault = self._fault, fault
        if not fault.listening:
            await self._stop_listening()
        if not fault.keeps_links:
            fault.fired = fault.fired or bool(self._links)
            await self._reset_links()
        before.lift()  # last, so that what it held does not pass on a connection that is to be reset
        if fault.listening:
            await self._listen()

    async def _reset_links(self) -> None:
        for link in self._links.values():
            link.reset()
        await asyncio.sleep(0)  # the event loop closes the sockets in its next round

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        link = Link(reader, writer)
        task = asyncio.create_task(self._handle(link))
        self._links[task] = link
        task.add_done_callback(lambda task: self._links.pop(task).close())  # also when it never began

    async def _handle(self, link: Link) -> None:
        await self._fault.admit(link)
        await link.relay(
            self.upstream,
            lambda data: self._fault.request(link, data),
            lambda data: self._fault.reply(link, data),
        )
