"""Dates and times of day, without a time zone."""

from __future__ import annotations

import re
from datetime import date
from datetime import datetime
from datetime import time
from typing import Any
from typing import Final

from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind

# Python's own parsers take other spellings, too, each version some more.
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?", re.ASCII)


class Date(Kind):
    """A day of the years 1 to 9999: a ``date``, or text such as ``2024-02-29``."""

    name = "date"
    python_type = date
    storage = TEXT
    repeats = True

    def check(self, value: Any) -> date:
        if isinstance(value, str):
            return self.parse(value)
        if not isinstance(value, date) or isinstance(value, datetime):
            raise ValueError("must be a date, such as 2024-02-29")
        return value

    def parse(self, text: str) -> date:
        try:
            return self.restore(text)
        except ValueError:
            raise ValueError("must be a date, such as 2024-02-29") from None

    def store(self, value: date) -> str:
        return value.isoformat()

    def restore(self, stored: str) -> date:
        if not _DATE.fullmatch(stored):
            raise ValueError("must be a date")
        return date.fromisoformat(stored)


class Time(Kind):
    """A time of day with microseconds: a ``time`` without a zone, or text such as ``12:30:00``."""

    name = "time"
    python_type = time
    storage = TEXT
    repeats = True

    def check(self, value: Any) -> time:
        if isinstance(value, str):
            return self.parse(value)
        if not isinstance(value, time):
            raise ValueError("must be a time of day, such as 12:30:00")
        if value.tzinfo is not None:
            raise ValueError("must not have a time zone")
        return value.replace(fold=0)

    def parse(self, text: str) -> time:
        try:
            return self.restore(text)
        except ValueError:
            raise ValueError("must be a time of day, such as 12:30:00") from None

    def store(self, value: time) -> str:
        return value.isoformat("microseconds")

    def restore(self, stored: str) -> time:
        match = _TIME.fullmatch(stored)
        if match is None:
            raise ValueError("must be a time of day")
        # Some Python versions read a fraction of three or six digits only.
        whole, _, fraction = stored.partition(".")
        return time.fromisoformat(whole).replace(microsecond=int(fraction.ljust(6, "0")))


DATE: Final = Date()
TIME: Final = Time()
