"""Clocks that stand still until they are told otherwise."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta

START = datetime(2030, 1, 1, tzinfo=UTC)


class WallClock:
    """The time of day, from :data:`START`."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


class ManualClock:
    """Monotonic seconds, from 1000."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
