"""A client's connection through the proxy and its counterpart to the server."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable
from collections.abc import Callable
from typing import Final

HOST: Final = "127.0.0.1"
Handler = Callable[[bytes], Awaitable[None]]

_CHUNK: Final = 65_536
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, for no time


class Link:
    """Two TCP connections, between which handlers pass the bytes on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._from_client = reader
        self._client = writer
        self._server: asyncio.StreamWriter | None = None

    async def relay(self, upstream: int, request: Handler, reply: Handler) -> None:
        """Connect to the server at port ``upstream`` and hand all bytes to the handlers, until both sides are done."""
        if self._client.is_closing():
            return
        try:
            from_server, self._server = await asyncio.open_connection(HOST, upstream)
        except OSError:
            self.reset()
            return
        async with asyncio.TaskGroup() as directions:
            directions.create_task(self._pump(self._from_client, request, self._server))
            directions.create_task(self._pump(from_server, reply, self._client))

    async def to_server(self, data: bytes) -> None:
        """Pass bytes of a request on."""
        assert self._server is not None
        await _send(self._server, data)

    async def to_client(self, data: bytes) -> None:
        """Pass bytes of a reply on."""
        await _send(self._client, data)

    def reset(self) -> None:
        """Cut off both sides with a TCP reset."""
        for writer in self._writers():
            if not writer.is_closing():
                connection: socket.socket = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            writer.transport.abort()

    def close(self) -> None:
        """End both sides in order, after what was passed on has left."""
        for writer in self._writers():
            writer.close()

    async def _pump(self, source: asyncio.StreamReader, handle: Handler, sink: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(_CHUNK):
                await handle(data)
            if not sink.is_closing():
                sink.write_eof()
        except OSError:
            self.reset()  # one side is gone, so the other must go

    def _writers(self) -> list[asyncio.StreamWriter]:
        return [self._client] if self._server is None else [self._client, self._server]


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()
