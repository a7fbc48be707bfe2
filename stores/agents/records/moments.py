"""When a record was saved. Of two records that a process saves one after another, the second one has a later time."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from datetime import timedelta
from threading import Lock
from typing import Any
from typing import Final

from database.core.clock import not_before
from database.core.clock import utc_now
from database.core.lifecycle import rebuild_after_fork

STEP: Final = timedelta(microseconds=1)
_MILLISECONDS: Final = 100_000_000_000
"""Numbers from here on are milliseconds since 1970, and not seconds, which would be of the year 5138."""


class Moments:
    """The present time, in steps of a microsecond at least."""

    def __init__(self) -> None:
        self._last = utc_now().replace(tzinfo=None)
        self._create_runtime_state()
        rebuild_after_fork(self, Moments._create_runtime_state)

    def _create_runtime_state(self) -> None:
        self._lock = Lock()

    def take(self, count: int = 1) -> datetime:
        """The first of ``count`` moments that follow one another by a microsecond, in UTC without time zone."""
        now = utc_now().replace(tzinfo=None)
        with self._lock:
            first = now if self._last < now else not_before(now, self._last + STEP)
            self._last = first if count == 1 else first + (count - 1) * STEP
        return first

    def of(self, value: dict[str, Any]) -> datetime:
        """The time of a value: its own, or now."""
        return moment_of(value) or self.take()


moments: Final = Moments()


def moment_of(value: dict[str, Any]) -> datetime | None:
    """The ``timestamp`` in a value, in UTC without time zone; None if it has none that is a time.

    It may be a datetime, ISO 8601, or seconds or milliseconds since 1970. Without a time zone it is in UTC.
    """
    given = value.get("timestamp")
    if not given:
        return None
    try:
        if isinstance(given, str):
            given = datetime.fromisoformat(given)
        elif isinstance(given, int | float) and not isinstance(given, bool):
            given = datetime.fromtimestamp(given / 1000 if abs(given) >= _MILLISECONDS else given, UTC)
        if not isinstance(given, datetime):
            return None
        return given.astimezone(UTC).replace(tzinfo=None) if given.tzinfo else given
    except (ValueError, OverflowError, OSError):
        return None
