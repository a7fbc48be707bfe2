"""Transactions carried out anew after another one came first: the one place that does so."""

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
"""How often work is begun at most that nobody limits but its deadline."""

_FIRST_PAUSE: Final = 0.01
"""Seconds within which it is begun anew the first time; the bound doubles each time."""

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
    """Carry out ``work``, and begin it anew as long as it ends with ``SerializationFailure``.

    :param work: a whole transaction; nothing of it is left when it raises.
    :param attempts: how often it is begun at most.
    :param deadline: monotonic seconds after which it is not begun anew; by default the present context's.
    :param may_repeat: is asked after a failure whether the work can be begun anew.
    :param times_out: whether a deadline that keeps it from being begun anew is told as such: where the caller has
        nothing to think over, as for one operation and for a request that repeats itself.
    :raises SerializationFailure: the last one.
    :raises TimedOut: in its place, with ``times_out``.
    """
    until = current_context.get().deadline if deadline is None else deadline
    for attempt in count(1):
        try:
            return work()
        except SerializationFailure as error:
            # By chance, because those who have met would meet again.
            pause = chance() * min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (attempt - 1))
            late = monotonic() + pause >= until
            if late and times_out and attempt < attempts:
                raise TimedOut("other transactions came first until the deadline; try again") from error
            if attempt >= attempts or late or not may_repeat():
                raise
        Event().wait(pause)
    raise AssertionError("counting has no end")
