"""Responses around a deadline: the calls, and the causes of the delay."""

from __future__ import annotations

import asyncio
import threading
from abc import ABC
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from typing import Literal
from urllib.parse import urlsplit

import apsw

from database.adapter.base import DatabaseAdapter
from database.core.clock import monotonic
from database.core.context import current_context
from tests.contract.backends import Backend
from tests.servers.network.faults import Fault
from tests.servers.network.link import Link
from tests.servers.network.proxy import FaultProxy

LIMIT = 0.3
"""The time limit of a call in seconds."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Limit the time of the block's calls; a negative time has already passed."""
    outer = current_context.set(current_context.get().until(monotonic() + seconds))
    try:
        yield
    finally:
        current_context.reset(outer)


@dataclass(frozen=True, slots=True)
class Plan:
    """One call, and its delay.

    :ivar work: the kind of the call.
    :ivar message: the number of the message of its connection that is late, from 1.
    :ivar way: whether the server gets that message late, or the client its answer.
    :ivar moment: seconds after the beginning at which it arrives.
    """

    work: str
    message: int
    way: Literal["request", "reply"]
    moment: float


class Late(Fault):
    """One message of each connection arrives at a moment of its own.

    :ivar held: how many were held up.
    """

    tells = False  # who uses it counts what was held up

    def __init__(self, plans: Sequence[Plan]) -> None:
        super().__init__()
        self._begun = monotonic()
        self._plans = iter(plans)
        self._of: dict[Link, Plan | None] = {}
        self._sent: Counter[Link] = Counter()
        self.held = 0

    async def request(self, link: Link, data: bytes) -> None:
        if link not in self._of:
            self._of[link] = next(self._plans, None)
        self._sent[link] += 1
        await self._hold(link, "request")
        await super().request(link, data)

    async def reply(self, link: Link, data: bytes) -> None:
        await self._hold(link, "reply")
        await super().reply(link, data)

    async def _hold(self, link: Link, way: str) -> None:
        plan = self._of.get(link)
        if plan is None or (plan.way, plan.message) != (way, self._sent[link]):
            return
        seconds = self._begun + plan.moment - monotonic()
        if seconds > 0:
            self.held += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._lifted.wait(), seconds)


class Lateness(ABC):
    """Delays the responses of a backend.

    :ivar adapter: an adapter with little time, to which it happens.
    :ivar held: how often something was held up.
    """

    held = 0

    def __init__(self, adapter: DatabaseAdapter) -> None:
        self.adapter = adapter

    @abstractmethod
    def during(self, plans: Sequence[Plan]) -> Any:
        """A context manager, inside which what is planned happens."""


class LateNetwork(Lateness):
    """Delays messages on their way.

    :param connections: how many of them are open before, where they are opened in advance.
    """

    def __init__(self, backend: Backend, proxy: Callable[[int], FaultProxy], connections: int) -> None:
        config = backend.config
        address = urlsplit(config.get("url", ""))
        self._between = proxy(address.port or config["port"])
        port = self._between.port
        there = {"url": f"http://127.0.0.1:{port}"} if address.port else {"port": port, "min_connections": connections}
        super().__init__(backend.another(timeout=LIMIT, **there))

    @contextmanager
    def during(self, plans: Sequence[Plan]) -> Iterator[None]:
        late = Late(plans)
        with self._between.suffering(late):
            yield
        self.held += late.held


class LateLock(Lateness):
    """Somebody else has the right to write until the first plan's moment.

    :param held: is in force while it is locked.
    """

    def __init__(self, adapter: DatabaseAdapter, lock: Callable[[], Any], free: Callable[[], Any]) -> None:
        super().__init__(adapter)
        self._lock = lock
        self._free = free

    @contextmanager
    def during(self, plans: Sequence[Plan]) -> Iterator[None]:
        self._lock()
        over = threading.Event()
        holder = threading.Thread(target=self._hold, args=(over, plans[0].moment))
        holder.start()
        try:
            yield
        finally:
            over.set()
            holder.join()
        self.held += 1

    def _hold(self, over: threading.Event, seconds: float) -> None:
        over.wait(seconds)
        self._free()


def lateness(backend: Backend, proxy: Callable[[int], FaultProxy], connections: int) -> Lateness:
    """What makes this kind of backend late, for as many calls at once as ``connections``."""
    if backend.case.name == "memory":
        adapter: Any = backend.another(timeout=LIMIT)
        return LateLock(adapter, adapter.backend._writing.acquire, adapter.backend._writing.release)
    if backend.case.name == "sqlite":
        # As another process would, which does not stand in the adapter's own queue.
        rival = apsw.Connection(backend.config["path"])
        rival.set_busy_timeout(10_000)
        lock, free = (lambda text=text: rival.execute(text) for text in ("begin immediate", "rollback"))
        return LateLock(backend.another(timeout=LIMIT), lock, free)
    return LateNetwork(backend, proxy, connections)
