"""What an error says about its backend."""

from __future__ import annotations

import math
from enum import Enum

from database.core.errors import CircuitOpen
from database.core.errors import DataError
from database.core.errors import OutcomeUnknown
from database.core.errors import PoolExhausted
from database.core.errors import RequestError
from database.core.errors import Stopped
from database.core.errors import TimedOut
from database.core.errors import Unavailable

_NEARLY = 0.9
"""A driver's timer may fire a little before the deadline it was set to."""


class Verdict(Enum):
    """The backend is well, has failed, or the call says nothing about it."""

    WELL = "well"
    FAILED = "failed"
    NOTHING = "nothing"


def classify(error: DataError, *, elapsed: float, limit: float, allowed: float) -> Verdict:
    """What ``error`` says about the backend.

    A refused request is a sign of life. A statement that was stopped says nothing, or a few expensive queries would
    close the backend to everybody. Throttling, our own limits (circuit and permits) and errors without a
    class of their own say nothing. Neither does running out of time, if the caller allowed less than is usual.

    :param elapsed: seconds the attempt took.
    :param limit: seconds a call normally has; 0 for no limit.
    :param allowed: seconds until the deadline when the attempt began; ``inf`` without one.
    """
    if isinstance(error, RequestError):
        return Verdict.WELL
    if isinstance(error, CircuitOpen | PoolExhausted | Stopped):
        return Verdict.NOTHING
    if isinstance(error, Unavailable):
        return Verdict.FAILED
    had_its_time = elapsed >= _NEARLY * (limit or math.inf)
    if isinstance(error, TimedOut):
        return Verdict.FAILED if had_its_time or math.isinf(allowed) else Verdict.NOTHING
    if isinstance(error, OutcomeUnknown):
        # An answer is lost by a broken connection, or because the caller did not wait for it.
        cut_short = elapsed >= _NEARLY * allowed and not had_its_time
        return Verdict.NOTHING if cut_short else Verdict.FAILED
    return Verdict.NOTHING
