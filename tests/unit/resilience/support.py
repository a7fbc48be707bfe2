"""A clock that stands still, a backend that does as it is told, and threads that start together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Barrier
from threading import Thread
from typing import TypeVar

from database.core.context import Context
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Upsert
from database.core.result import Result
from tests.clocks import ManualClock

Value = TypeVar("Value")

READ = Get("molecules", "m1")
WRITE = Insert("molecules", [{"name": "water"}])
WRITE_BY_ID = Upsert("molecules", [{"id": "m1", "name": "water"}])

PATIENCE = 10.0
"""Seconds after which a test that hangs fails; nothing is measured by it."""


class Backend:
    """A handler that raises what stands in ``script`` in turn (None: it answers), then answers always.

    :param takes: seconds that pass on the clock during each call.
    """

    def __init__(self, clock: ManualClock, *script: BaseException | None, takes: float = 0.0) -> None:
        self.clock = clock
        self.script: deque[BaseException | None] = deque(script)
        self.takes = takes
        self.sent: list[Operation] = []
        self.contexts: list[Context] = []

    def __call__(self, operation: Operation, context: Context) -> Result:
        self.sent.append(operation)
        self.contexts.append(context)
        self.clock.advance(self.takes)
        error = self.script.popleft() if self.script else None
        if error is not None:
            raise error
        return Result(count=len(self.sent))


def outcome(call: Callable[[], Value]) -> Value | BaseException:
    """What ``call`` returns, or what it raises."""
    try:
        return call()
    except BaseException as error:  # noqa: BLE001
        return error


def together(count: int, call: Callable[[], Value]) -> list[Value | BaseException]:
    """The outcomes of ``call`` in as many threads, started at once."""
    outcomes: list[Value | BaseException] = []
    barrier = Barrier(count)

    def run() -> None:
        barrier.wait(PATIENCE)
        outcomes.append(outcome(call))

    threads = [Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes
