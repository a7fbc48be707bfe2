"""Time: a monotonic clock for intervals, a wall clock for what is stored.

Tests replace a component's clock by passing another callable; nothing reads the system clock elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from datetime import datetime

Clock = Callable[[], float]
"""Seconds on a clock that never steps back."""

monotonic: Clock = time.monotonic


def utc_now() -> datetime:
    """The wall-clock time, aware, UTC, in microseconds: for values that are stored."""
    return datetime.now(UTC)
