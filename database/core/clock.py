"""Time: a monotonic clock for intervals, a wall clock for stored timestamps.

Tests replace a component's clock by passing another callable; no other module reads the system clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import timedelta
from typing import Final

Clock = Callable[[], float]
"""Seconds on a clock that never steps back."""

monotonic: Clock = time.monotonic


def utc_now() -> datetime:
    """Return the current time as an aware UTC datetime, for stored timestamps."""
    return datetime.now(UTC)


LEAP: Final = timedelta(days=1)
"""How far ahead of the clock a stored time is believed."""


def not_before(now: datetime, last: datetime | None) -> datetime:
    """The time of a change of a record: now, but not before the time of the change that its writer has seen.

    So a clock that was set back, or that is behind another one, does not make later changes look like earlier ones. A
    time that is further ahead than :data:`LEAP` is not believed: otherwise it would be the time of all later changes.

    :param last: the record's present time; both or neither have a time zone.
    """
    return last if last is not None and now < last <= now + LEAP else now
