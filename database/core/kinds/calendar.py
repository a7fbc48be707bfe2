"""What a calendar and a clock on the wall show: dates, times of day and both together, without a time zone."""

from __future__ import annotations

import re
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from typing import Any
from typing import Final

from database.core.kinds.ranges import Ranged
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import Kind

_DATE: Final = r"\d{4}-\d\d-\d\d"
_TIME: Final = r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?"

_OF_DAY: Final = (datetime, time)


class Shown(Kind):
    """Text of fixed width on backends without this type, which is sorted as its values are.

    :ivar example: what a value must be, in messages.
    """

    storage = TEXT
    python_type: type[date] | type[time]
    example: str
    _form: re.Pattern[str]

    def check(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.parse(value)
        if not isinstance(value, self.python_type) or (self.python_type is date and isinstance(value, datetime)):
            raise ValueError(f"must be {self.example}")
        if isinstance(value, _OF_DAY):
            if value.tzinfo is not None:
                raise ValueError("must not have a time zone")
            return value.replace(fold=0) if value.fold else value
        return value

    def parse(self, text: str) -> Any:
        try:
            return self.restore(text)
        except ValueError:
            raise ValueError(f"must be {self.example}") from None

    def restore(self, stored: str) -> Any:
        # Python's own parsers take other spellings, too, each version some more.
        if not self._form.fullmatch(stored):
            raise ValueError(f"must be {self.example}")
        whole, dot, fraction = stored.partition(".")
        found: Any = self.python_type.fromisoformat(whole)
        return found.replace(microsecond=int(fraction.ljust(6, "0"))) if dot else found


class Date(Shown):
    """A day of the years 1 to 9999: a ``date``, or text such as ``2024-02-29``."""

    name = "date"
    python_type = date
    repeats = True
    example = "a date, such as 2024-02-29"
    _form = re.compile(_DATE, re.ASCII)

    def store(self, value: date) -> str:
        return value.isoformat()


class Time(Shown):
    """A time of day with microseconds: a ``time`` without a zone, or text such as ``12:30:00``."""

    name = "time"
    python_type = time
    repeats = True
    example = "a time of day, such as 12:30:00"
    _form = re.compile(_TIME, re.ASCII)

    def store(self, value: time) -> str:
        return value.isoformat("microseconds")


class LocalTimestamp(Shown):
    """A day and a time of day with microseconds: a ``datetime`` without a zone, or text (``2024-02-29T12:30:00``).

    It is no point in time, and nothing ever shifts it.
    """

    name = "timestamp without time zone"
    python_type = datetime
    example = "a timestamp without time zone, such as 2024-02-29T12:30:00"
    _form = re.compile(f"{_DATE}[T ]{_TIME}", re.ASCII)

    def store(self, value: datetime) -> str:
        return value.isoformat("T", "microseconds")

    def of(self, moment: datetime) -> datetime:
        """What a clock in UTC shows at a moment."""
        return moment.astimezone(UTC).replace(tzinfo=None)


class SpacedTimestamp(LocalTimestamp):
    """The same in a table of another program, which stores a blank between day and time."""

    def store(self, value: datetime) -> str:
        return value.isoformat(" ", "microseconds")


class SecondTimestamp(LocalTimestamp, Ranged):
    """The same, in whole seconds: what SQLite's own functions write."""

    lowest = datetime(1, 1, 1)  # noqa: DTZ001
    highest = datetime(9999, 12, 31, 23, 59, 59)  # noqa: DTZ001

    def check(self, value: Any) -> Any:
        found = self.comparand(value)
        if found.microsecond:
            raise ValueError("must be in whole seconds")
        return found

    def comparand(self, value: Any) -> Any:
        return super().check(value)

    def floor(self, comparand: Any) -> Any:
        return comparand.replace(microsecond=0)

    def store(self, value: datetime) -> str:
        return value.isoformat(" ", "seconds")

    def of(self, moment: datetime) -> datetime:
        return super().of(moment).replace(microsecond=0)


def clock(kind: Kind, moment: datetime) -> datetime | None:
    """A moment as a value of a kind of timestamps, with or without time zone; None for any other kind."""
    if kind is TIMESTAMP:
        return moment
    return kind.of(moment) if isinstance(kind, LocalTimestamp) else None


DATE: Final = Date()
TIME: Final = Time()
LOCAL_TIMESTAMP: Final = LocalTimestamp()
WRITTEN_TIMESTAMPS: Final = {26: SpacedTimestamp(), 19: SecondTimestamp()}
"""By the number of their characters in an SQLite file of another program."""
