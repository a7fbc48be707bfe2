"""Time: a monotonic clock for intervals, a wall clock for stored timestamps.

Tests replace a component's clock by passing another callable; no other module reads the system clock.
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
    """Return the current time as an aware UTC datetime, for stored timestamps."""
    return datetime.now(UTC)
