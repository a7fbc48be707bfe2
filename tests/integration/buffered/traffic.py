"""HTTP requests on their way through a proxy: counted, and hindered one by one."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.servers.network.faults import Fault
from tests.servers.network.faults import Healthy
from tests.servers.network.link import Link

_LENGTH = re.compile(rb"^content-length: *(\d+)\r?$", re.I | re.M)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came.

    :ivar name: the function or table that it is about, such as ``isthmus:commit`` or ``accounts``.
    """

    name: str
    body: bytes


class Cut(Fault):
    """The connection is reset before the server hears of the request."""

    async def request(self, link: Link, data: bytes) -> None:
        link.reset()


class Lost(Fault):
    """The request is carried out, and the connection is reset instead of the answer."""

    async def reply(self, link: Link, data: bytes) -> None:
        link.reset()


class Hang(Fault):
    """The request arrives nowhere, and the connection stays."""

    async def request(self, link: Link, data: bytes) -> None:
        """Forget it."""


class Trickle(Fault):
    """The answer comes a byte at a time, with a pause behind each.

    :param pause: in seconds.
    """

    def __init__(self, pause: float) -> None:
        super().__init__()
        self._pause = pause

    async def reply(self, link: Link, data: bytes) -> None:
        for position in range(len(data)):
            await link.to_client(data[position : position + 1])
            await asyncio.sleep(self._pause)


class Answered(Fault):
    """Somebody on the way answers instead of the server, which does not hear of the request.

    :param headers: besides the necessary ones.
    """

    def __init__(self, status: int, code: str = "", **headers: str) -> None:
        super().__init__()
        self._answer = _answer(status, code, {name.replace("_", "-"): value for name, value in headers.items()})

    async def request(self, link: Link, data: bytes) -> None:
        await link.to_client(self._answer)


class AnsweredAfter(Answered):
    """The server carries the request out, and somebody on the way replaces its answer."""

    async def request(self, link: Link, data: bytes) -> None:
        await link.to_server(data)

    async def reply(self, link: Link, data: bytes) -> None:
        await link.to_client(self._answer)


@dataclass(slots=True)
class _Plan:
    fault: Fault
    name: str | None
    times: float
    since: int


class Traffic(Fault):
    """The fault of a proxy before an HTTP server: by itself none, but each request may suffer one of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Request] = []
        self._plans: list[_Plan] = []
        self._partial: dict[Link, bytes] = {}
        self._suffered: dict[Link, Fault] = {}
        self._healthy = Healthy()

    @property
    def pending(self) -> int:
        """How many plans have not yet been carried out in full."""
        return len(self._plans)

    def plan(self, fault: Fault, name: str | None = None, *, times: float = 1, since: int = 1) -> None:
        """Have requests suffer ``fault``.

        :param name: what they are about; any by default.
        :param times: how many of them; ``inf`` for all.
        :param since: the number of the first one, counted from 1 when the traffic began.
        """
        self._plans.append(_Plan(fault, name, times, since))

    def calm(self) -> None:
        """Give up all plans."""
        self._plans.clear()

    def count(self, name: str | None = None) -> int:
        """How many requests about ``name`` have come; all by default."""
        return len(self.bodies(name))

    def bodies(self, name: str | None = None) -> list[bytes]:
        """What they carried."""
        return [request.body for request in list(self.requests) if name in {None, request.name}]

    async def request(self, link: Link, data: bytes) -> None:
        whole = self._partial.pop(link, b"") + data
        head, _, body = whole.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if b"\r\n\r\n" not in whole or (length and len(body) < int(length[1])):
            self._partial[link] = whole
            return
        request = Request(_name(head, body), body)
        self.requests.append(request)
        self._suffered[link] = self._due(request.name)
        await self._suffered[link].request(link, whole)

    async def reply(self, link: Link, data: bytes) -> None:
        await self._suffered.get(link, self._healthy).reply(link, data)

    def _due(self, name: str) -> Fault:
        for plan in list(self._plans):
            if plan.name in {None, name} and self.count(plan.name) >= plan.since:
                plan.times -= 1
                if not plan.times:
                    self._plans.remove(plan)
                return plan.fault
        return self._healthy


def _name(head: bytes, body: bytes) -> str:
    """Convex has the function in the body, Supabase what it is about in the path."""
    path = head.split(b" ", 2)[1].partition(b"?")[0].decode()
    if path.startswith("/api/"):
        return str(json.loads(body)["path"])
    return path.rpartition("/")[2]


def _answer(status: int, code: str, headers: Mapping[str, str]) -> bytes:
    body = json.dumps({"code": code, "message": "this was asked for"}).encode()
    lines = [
        f"HTTP/1.1 {status} Asked For",
        "Content-Type: application/json",
        "Connection: close",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body
