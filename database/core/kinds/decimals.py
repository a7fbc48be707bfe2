"""Exact decimals of a fixed number of digits, which every backend sorts, compares and counts exactly."""

from __future__ import annotations

import re
from decimal import ROUND_FLOOR
from decimal import Context
from decimal import Decimal
from decimal import Inexact
from decimal import InvalidOperation
from functools import cache
from typing import Any
from typing import Final

from database.core.kinds.ranges import Ranged
from database.core.kinds.values import FLOAT
from database.core.kinds.values import INTEGER
from database.core.kinds.values import Kind
from database.core.kinds.values import WrittenNumber

MAX_PRECISION: Final = 18
"""Digits that a 64-bit integer holds, whatever they are."""

MAX_NUMBER_PRECISION: Final = 15
"""Digits that a double keeps: its shortest text has the same ones."""

_TEXT = re.compile(r"-?\d{1,100}(\.\d{0,100})?([eE][+-]?\d{1,3})?", re.ASCII)

# Contexts of our own: the thread's may round.
_EXACT = Context(prec=60, traps=[Inexact, InvalidOperation])
_FLOOR = Context(prec=60, rounding=ROUND_FLOOR, traps=[InvalidOperation])


class Decimals(Ranged):
    """Numbers of at most ``precision`` digits, ``scale`` of them behind the point; each value has all of these.

    Backends without exact decimals store them as an integer: how many units of the last digit they are.
    """

    name = "decimal"
    python_type = Decimal
    storage: Kind = INTEGER
    repeats = True

    def __init__(self, precision: int, scale: int) -> None:
        self._whole = precision - scale
        self._scale = scale
        self.scaled = scale > 0
        self._unit = Decimal(1).scaleb(-scale, _EXACT)
        self.highest = Decimal(10**precision - 1).scaleb(-scale, _EXACT)
        self.lowest = -self.highest

    def check(self, value: Any) -> Decimal:
        number = self.comparand(value)
        if not self.lowest <= number <= self.highest:
            raise ValueError(f"must have at most {self._whole} digits before the decimal point")
        try:
            # The addition takes the sign from a zero.
            return number.quantize(self._unit, context=_EXACT) + 0
        except (Inexact, InvalidOperation):
            raise ValueError(f"must have at most {self._scale} digits after the decimal point") from None

    def comparand(self, value: Any) -> Decimal:
        number = value if type(value) is Decimal else _decimal(value)
        if not number.is_finite():
            raise ValueError("must be finite")
        return number

    def floor(self, comparand: Decimal) -> Decimal | None:
        if comparand < self.lowest:
            return None
        below: Decimal = min(comparand, self.highest)
        return below.quantize(self._unit, context=_FLOOR)

    def parse(self, text: str) -> Decimal:
        return self.comparand(text)

    def store(self, value: Decimal) -> int | float:
        return int(value.scaleb(self._scale, _EXACT))

    def restore(self, stored: int | float) -> Decimal:
        return Decimal(stored).scaleb(-self._scale, _EXACT)


class NumberDecimals(Decimals):
    """Decimals of at most ``MAX_NUMBER_PRECISION`` digits in a table of another program, which stores doubles."""

    storage = FLOAT

    def __init__(self, precision: int, scale: int) -> None:
        super().__init__(precision, scale)
        self.scaled = False

    def store(self, value: Decimal) -> float:
        return float(value)

    def restore(self, stored: int | float) -> Decimal:
        try:
            return self.check(Decimal(repr(stored)))
        except InvalidOperation:
            raise ValueError("must be a decimal number") from None


def _decimal(value: Any) -> Decimal:
    if isinstance(value, WrittenNumber):
        value = value.text
    if isinstance(value, float):
        raise ValueError("must be exact: a Decimal, an integer or text, not a float")
    if isinstance(value, str) and not _TEXT.fullmatch(value):
        raise ValueError("must be a decimal number, such as 12.50")
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise ValueError("must be a decimal number")
    return Decimal(value)


@cache
def decimals(precision: int, scale: int, kind: type[Decimals] = Decimals) -> Decimals:
    """The kind of a number of digits; always the same one, so that kinds can be compared."""
    return kind(precision, scale)


def finite_decimal(number: Decimal) -> Decimal:
    """Read a stored decimal. :raises ValueError: for NaN, which JSON cannot represent."""
    if not number.is_finite():
        raise ValueError("must be finite")
    return number
