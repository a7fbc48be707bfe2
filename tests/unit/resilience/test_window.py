"""The sliding window, against a list of all outcomes."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from database.resilience.window import Window


def test_memory_is_bounded_whatever_the_traffic() -> None:
    window = Window(10, 0.0)
    for tick in range(100_000):
        (window.fail if tick % 3 == 0 else window.succeed)(tick * 0.05)
    assert len(window) <= 11
    assert sum(window.totals(100_000 * 0.05)) == 180  # nine whole seconds of 20 calls; the tenth has just begun


def test_outcomes_are_forgotten_in_time() -> None:
    window = Window(3, 0.0)
    window.fail(0.5)
    window.succeed(1.5)
    assert window.totals(2.9) == (1, 1)
    assert window.totals(3.0) == (1, 0)
    assert window.totals(4.0) == (0, 0)


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.floats(0, 5), st.booleans()), max_size=60),
)
def test_equals_counting_whole_seconds(length: int, steps: list[tuple[float, bool]]) -> None:
    now = 100.0
    window = Window(length, now)
    calls: list[tuple[int, bool]] = []
    for pause, well in steps:
        now += pause
        (window.succeed if well else window.fail)(now)
        calls.append((math.floor(now), well))
        recent = [each for second, each in calls if second > math.floor(now) - length]
        assert window.totals(now) == (recent.count(True), recent.count(False))
        assert len(window) <= length + 1
