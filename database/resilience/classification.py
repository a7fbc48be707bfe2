"""Classifies errors for the circuit breaker: what they say about the health of the backend."""

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
    """What the outcome of a call says about the health of the backend."""

    HEALTHY = "healthy"
    FAILED = "failed"
    IGNORED = "ignored"


def classify(error: DataError, *, elapsed: float, limit: float, allowed: float) -> Verdict:
    """Classify an error.

    A refused request shows that the backend is healthy. Throttled, CircuitOpen, PoolExhausted and unspecific errors are
    ignored: they do not show whether it is. So is Stopped, or a few expensive queries would open the circuit for all
    callers; and a timeout, if the caller allowed less time than usual.

    :param elapsed: seconds that the attempt took.
    :param limit: seconds that a call usually has; 0 for no limit.
    :param allowed: seconds until the deadline when the attempt began; ``inf`` without a deadline.
    """
    if isinstance(error, RequestError):
        return Verdict.HEALTHY
    if isinstance(error, CircuitOpen | PoolExhausted | Stopped):
        return Verdict.IGNORED
    if isinstance(error, Unavailable):
        return Verdict.FAILED
    had_its_time = elapsed >= _NEARLY * (limit or math.inf)
    if isinstance(error, TimedOut):
        return Verdict.FAILED if had_its_time or math.isinf(allowed) else Verdict.IGNORED
    if isinstance(error, OutcomeUnknown):
        # The response was lost by a broken connection, or because the caller's deadline passed.
        cut_short = elapsed >= _NEARLY * allowed and not had_its_time
        return Verdict.IGNORED if cut_short else Verdict.FAILED
    return Verdict.IGNORED
