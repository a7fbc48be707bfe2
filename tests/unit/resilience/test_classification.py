"""What counts as a failure of the backend, and what does not."""

from __future__ import annotations

import math

import pytest

from database.core.errors import BackendError
from database.core.errors import CircuitOpen
from database.core.errors import Conflict
from database.core.errors import ConnectFailed
from database.core.errors import ConstraintViolated
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import OutcomeUnknown
from database.core.errors import PermissionDenied
from database.core.errors import PoolExhausted
from database.core.errors import Stopped
from database.core.errors import Throttled
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.resilience.classification import Verdict
from database.resilience.classification import classify


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Unavailable("down"), Verdict.FAILED),
        (ConnectFailed("refused"), Verdict.FAILED),
        (OutcomeUnknown("reply lost"), Verdict.FAILED),
        (CircuitOpen("open"), Verdict.IGNORED),
        (PoolExhausted("full"), Verdict.IGNORED),
        (Throttled("slow down"), Verdict.IGNORED),
        (BackendError("?"), Verdict.IGNORED),
        (DataError("?"), Verdict.IGNORED),
        (NotFound("no row"), Verdict.HEALTHY),
        (Conflict("changed"), Verdict.HEALTHY),
        (ConstraintViolated("unique"), Verdict.HEALTHY),
        (InvalidQuery("column"), Verdict.HEALTHY),
        (Unsupported("sql"), Verdict.HEALTHY),
        (PermissionDenied("rls"), Verdict.HEALTHY),
    ],
)
def test_by_class(error: DataError, verdict: Verdict) -> None:
    assert classify(error, elapsed=1, limit=30, allowed=30) is verdict


def test_work_that_was_too_much_is_no_sign_of_an_ill_backend() -> None:
    for elapsed, limit, allowed in ((30, 30, 30), (2, 0, math.inf)):
        assert classify(Stopped("too much"), elapsed=elapsed, limit=limit, allowed=allowed) is Verdict.IGNORED


@pytest.mark.parametrize(
    ("elapsed", "limit", "allowed", "verdict"),
    [
        (30, 30, 30, Verdict.FAILED),
        (27, 30, 30, Verdict.FAILED),  # the driver's timer may be early
        (26, 30, 26, Verdict.IGNORED),  # the caller's own deadline
        (0.1, 30, 0.1, Verdict.IGNORED),
        (500, 0, 500, Verdict.IGNORED),  # no limit of ours: it was the caller's
        (2, 0, math.inf, Verdict.FAILED),  # no limit at all: it was the driver's
    ],
)
def test_running_out_of_time(elapsed: float, limit: float, allowed: float, verdict: Verdict) -> None:
    assert classify(TimedOut("late"), elapsed=elapsed, limit=limit, allowed=allowed) is verdict


@pytest.mark.parametrize(
    ("elapsed", "limit", "allowed", "verdict"),
    [
        (1, 30, 30, Verdict.FAILED),  # the connection broke
        (30, 30, 30, Verdict.FAILED),  # no answer in the usual time
        (0.5, 30, 0.5, Verdict.IGNORED),  # the caller did not wait for it
        (0.1, 30, 0.5, Verdict.FAILED),  # the connection broke while an impatient caller waited
        (1, 0, math.inf, Verdict.FAILED),
    ],
)
def test_a_lost_answer(elapsed: float, limit: float, allowed: float, verdict: Verdict) -> None:
    assert classify(OutcomeUnknown("lost"), elapsed=elapsed, limit=limit, allowed=allowed) is verdict
