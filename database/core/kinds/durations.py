"""Lengths of time, in microseconds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from typing import Final

from database.core.kinds.ranges import Ranged
from database.core.kinds.values import INTEGER
from database.core.kinds.values import INTEGER_MAX

_MICROSECOND: Final = timedelta(microseconds=1)
_ISO = re.compile(
    r"(?P<sign>[+-]?)P(?=.)(?:(?P<weeks>\d{1,9})W)?(?:(?P<days>\d{1,9})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,12})H)?(?:(?P<minutes>\d{1,14})M)?"
    r"(?:(?P<seconds>\d{1,15})(?:[.,](?P<fraction>\d{1,6}))?S)?)?",
    re.ASCII,
)
_EXAMPLE: Final = "must be a duration of weeks, days, hours, minutes and seconds, such as P1DT2H or PT1.5S"


class Durations(Ranged):
    """A length of time, or a negative one: a ``timedelta``, or text in ISO 8601 without years and months.

    Backends without intervals store the number of microseconds.
    """

    name = "interval"
    python_type = timedelta
    storage = INTEGER

    def __init__(self) -> None:
        self.lowest = timedelta(microseconds=-INTEGER_MAX)
        self.highest = timedelta(microseconds=INTEGER_MAX)

    def check(self, value: Any) -> timedelta:
        length = self.comparand(value)
        if not self.lowest <= length <= self.highest:
            raise ValueError("must be shorter than 292,000 years")
        return length

    def comparand(self, value: Any) -> timedelta:
        if isinstance(value, str):
            return _read(value)
        if not isinstance(value, timedelta):
            raise ValueError(_EXAMPLE)
        return value

    def parse(self, text: str) -> timedelta:
        return self.comparand(text)

    def store(self, value: timedelta) -> int:
        return value // _MICROSECOND

    def restore(self, stored: int) -> timedelta:
        return timedelta(microseconds=stored)


def _read(text: str) -> timedelta:
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError(_EXAMPLE)
    units = {name: int(found[name] or 0) for name in ("weeks", "days", "hours", "minutes", "seconds")}
    try:
        length = timedelta(**units, microseconds=int((found["fraction"] or "").ljust(6, "0")))
        return -length if found["sign"] == "-" else length
    except OverflowError:
        raise ValueError("must be shorter than 292,000 years") from None


def iso_duration(value: timedelta) -> str:
    """A length of time as it is in JSON: days and seconds in ISO 8601."""
    length = abs(value)
    seconds = f"{length.seconds}.{length.microseconds:06}" if length.microseconds else str(length.seconds)
    return f"{'-' if value < timedelta() else ''}P{length.days}DT{seconds}S"


DURATIONS: Final = Durations()
