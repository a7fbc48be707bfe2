"""The results of functions that may be asynchronous, for callers that are not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from contextvars import copy_context
from inspect import isawaitable
from threading import Lock
from typing import Any

from database.core.lifecycle import in_background
from database.core.lifecycle import rebuild_after_fork


class _Loop:
    """An event loop in a thread of its own. There is one, because clients belong to the loop that they began on."""

    def __init__(self) -> None:
        self._create_runtime_state()
        rebuild_after_fork(self, _Loop._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._lock = Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def result(self, awaitable: Awaitable[Any]) -> Any:
        if _inside.get():
            # A provider that calls another one: the loop may wait for it, and then cannot carry it out itself.
            with ThreadPoolExecutor(1) as other:
                return other.submit(copy_context().run, asyncio.run, _awaited(awaitable)).result()
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                in_background("awaited providers", self._loop.run_forever)
        return asyncio.run_coroutine_threadsafe(_awaited(awaitable), self._loop).result()


_loop = _Loop()
_inside: ContextVar[bool] = ContextVar("inside of an awaited provider", default=False)


def resolved(value: Any) -> Any:
    """``value``, or what it gives when it is awaited. The context is that of the caller."""
    return _loop.result(value) if isawaitable(value) else value


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    _inside.set(True)
    return await awaitable
