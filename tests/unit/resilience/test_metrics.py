"""The metrics stage."""

from __future__ import annotations

import pytest

from database.core.context import NO_CONTEXT
from database.core.errors import Conflict
from database.core.errors import ConnectFailed
from database.core.errors import OutcomeUnknown
from database.resilience.metrics import Metrics
from tests.clocks import ManualClock
from tests.unit.resilience.support import READ
from tests.unit.resilience.support import WRITE
from tests.unit.resilience.support import Backend
from tests.unit.resilience.support import outcome
from tests.unit.resilience.support import together


def test_outcomes_are_counted_by_kind(clock: ManualClock) -> None:
    metrics = Metrics(clock)
    script = (None, Conflict("c"), ConnectFailed("d"), OutcomeUnknown("u"), KeyboardInterrupt(), ZeroDivisionError())
    call = metrics.measured(Backend(clock, *script))
    for _ in script:
        outcome(lambda: call(WRITE, NO_CONTEXT))
    call(READ, NO_CONTEXT)
    snapshot = metrics.snapshot()
    assert list(snapshot) == ["get", "insert"]
    insert = snapshot["insert"]
    assert (insert["ok"], insert["request_error"], insert["backend_error"], insert["unknown"]) == (1, 1, 1, 3)
    assert snapshot["get"]["ok"] == 1


@pytest.mark.parametrize(("takes", "bound"), [(0, 1e-6), (3.5e-6, 4e-6), (0.5, 0.524288), (3600, 4294.967296)])
def test_durations_fall_below_their_bound(clock: ManualClock, takes: float, bound: float) -> None:
    metrics = Metrics(clock)
    call = metrics.measured(Backend(clock, takes=takes))
    call(READ, NO_CONTEXT)
    call(READ, NO_CONTEXT)
    counts = metrics.snapshot()["get"]
    assert counts["durations"] == [(bound, 2)]
    assert counts["seconds"] == pytest.approx(2 * takes, abs=1e-9)


def test_threads_share_one_count(clock: ManualClock) -> None:
    metrics = Metrics(clock)
    call = metrics.measured(Backend(clock))
    together(16, lambda: [call(READ, NO_CONTEXT) for _ in range(50)])
    assert metrics.snapshot()["get"]["ok"] == pytest.approx(800, abs=8)
