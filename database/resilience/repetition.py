"""Retries transactions after serialization failures: the only place that does so."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from threading import Event
from typing import Final
from typing import TypeVar

from database.core.chance import chance
from database.core.clock import monotonic
from database.core.context import current_context
from database.core.errors import SerializationFailure
from database.core.errors import TimedOut

Answer = TypeVar("Answer")

ATTEMPTS: Final = 50
"""The most attempts at work that is otherwise limited by its deadline only."""

_FIRST_PAUSE: Final = 0.01
"""The upper bound of the first pause in seconds; it doubles with each attempt."""

_LONGEST_PAUSE: Final = 0.5


def _always() -> bool:
    return True


def repeated(
    work: Callable[[], Answer],
    attempts: int = ATTEMPTS,
    deadline: float | None = None,
    may_repeat: Callable[[], bool] = _always,
    *,
    times_out: bool = False,
) -> Answer:
    """Call ``work``, and retry it while it raises ``SerializationFailure``.

    :param work: a whole transaction, which is rolled back when it raises.
    :param attempts: the most calls.
    :param deadline: monotonic seconds after which it is not retried; by default the current context's.
    :param may_repeat: called after a failure; whether the work can be retried.
    :param times_out: whether to raise ``TimedOut`` when the deadline prevents a retry: for a single operation and for a
        request that is retried as a whole, where a conflict gives the caller nothing to decide.
    :raises SerializationFailure: that of the last attempt.
    :raises TimedOut: in its place, with ``times_out``.
    """
    until = current_context.get().deadline if deadline is None else deadline
    for attempt in count(1):
        try:
            return work()
        except SerializationFailure as error:
            # Random, because transactions that conflicted would conflict again after equal pauses.
            pause = chance() * min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1))
            late = monotonic() + pause >= until
            if late and times_out and attempt < attempts:
                raise TimedOut("concurrent transactions conflicted with this one until the deadline; retry") from error
            if attempt >= attempts or late or not may_repeat():
                raise
        Event().wait(pause)
    raise AssertionError("counting has no end")
