"""Values that a record holds for a moment, in the place of a unique one that another record is to get."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from collections.abc import Iterator
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from typing import Final
from uuid import uuid4

from database.core.kinds.enums import Enums
from database.core.kinds.uuids import UUIDS
from database.core.tables.schema import Column

MOST: Final = 20
"""Values that are tried for one column."""

_RARE_LENGTH: Final = 12
_DAYS: Final = 100_000


def spare_values(column: Column, value: Any) -> Iterator[Any]:
    """Values of a column that hardly any record has, at most ``MOST``; null first.

    :param value: the present one, of which a text keeps its beginning.
    """
    if column.nullable:
        yield None
    yield from islice(_fitting(column, value), MOST)


def is_rare(column: Column, value: Any) -> bool:
    """Whether a spare value is one of so many that no other record has it."""
    if isinstance(column.checks, Enums):
        return False
    if isinstance(value, str | bytes):
        return len(value) >= _RARE_LENGTH
    return isinstance(value, int | float) and abs(value) > 2**40


def _fitting(column: Column, value: Any) -> Iterator[Any]:
    for made in _made(column, value):
        try:
            yield column.check(made)
        except ValueError:
            continue


def _made(column: Column, value: Any) -> Iterator[Any]:
    kind = column.checks
    if isinstance(kind, Enums):
        return (label for label in kind.labels if label != value)
    if kind is UUIDS:
        return (str(uuid4()) for _ in range(MOST))
    if isinstance(value, bool):
        return iter([not value])
    maker = _MAKERS.get(type(value))
    return iter(()) if maker is None else (maker(column, value, turn) for turn in range(4 * MOST))


def _text(column: Column, value: Any, _: int) -> str:
    length = column.max_length or len(value) + _RARE_LENGTH
    mark = secrets.token_hex(_RARE_LENGTH // 2)[:length]
    return str(value)[: length - len(mark)] + mark


def _bytes(column: Column, *_: Any) -> bytes:
    return secrets.token_bytes(min(column.max_length or 16, 16))


def _integer(_: Column, __: Any, turn: int) -> int:
    """Of any size: large ones first, because few records have them."""
    return _sign(turn) * secrets.randbelow(2 ** (62 - 4 * (turn // 2 % 15)))


def _decimal(_: Column, value: Any, turn: int) -> Decimal:
    unit = Decimal(1).scaleb(value.as_tuple().exponent)
    return unit * secrets.randbelow(10 ** max(1, 17 - turn // 2)) * _sign(turn)


def _shifted(_: Column, value: Any, turn: int) -> Any:
    """Another moment; that many days away at the first try, and nearer at later ones."""
    try:
        return value + timedelta(days=secrets.randbelow(_DAYS) // (1 + turn) + 1) * _sign(turn)
    except OverflowError:
        return value


def _time(*_: Any) -> time:
    seconds, microseconds = divmod(secrets.randbelow(86_400_000_000), 1_000_000)
    return time(seconds // 3600, seconds // 60 % 60, seconds % 60, microseconds)


def _float(_: Column, __: Any, turn: int) -> float:
    return _sign(turn) * secrets.randbelow(2**53) / float(2 ** (turn % 53))


def _sign(turn: int) -> int:
    return -1 if turn % 2 else 1


_MAKERS: Final[dict[type, Callable[[Column, Any, int], Any]]] = {
    str: _text,
    bytes: _bytes,
    int: _integer,
    float: _float,
    Decimal: _decimal,
    date: _shifted,
    datetime: _shifted,
    timedelta: _shifted,
    time: _time,
}
