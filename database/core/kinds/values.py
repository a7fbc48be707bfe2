"""The types of columns, and which values each accepts.

Every backend stores and returns the same Python values: ``str``, 64-bit ``int``, finite ``float``, ``bool``,
aware UTC ``datetime`` with microseconds, and JSON. A value that one backend cannot store is refused by all:
NUL and lone surrogates in text, integers beyond 64 bits, NaN and infinities, times without a zone.
Checks raise ``ValueError`` with a message that never contains the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from operator import attrgetter
from typing import Any

import orjson

from database.core.kinds.json_texts import MAX_JSON_DEPTH
from database.core.kinds.json_texts import JsonText
from database.core.kinds.json_texts import plain_json

INTEGER_MIN = -(2**63)
INTEGER_MAX = 2**63 - 1

_ZONE = attrgetter("tzinfo")
_IN_UTC = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_WITH_FRACTION = len('"2026-01-31T12:00:00.000001Z"')
_WHOLE_SECOND = len('"2026-01-31T12:00:00Z"')


class Kind:
    """The type of a column. No ``ABC``, because every condition of a filter asks for subclasses of it.

    :ivar name: its name in messages and in OpenAPI.
    :ivar python_type: the Python type of a checked value.
    :ivar comparable: whether all backends compare and order its values alike.
    :ivar base: the kind that has the same values and more; None if this is no part of another.
    :ivar storage: the kind as which a backend that does not have this one stores its values, in the same order.
    :ivar repeats: whether the same values are in many rows, and immutable, so that it pays to remember them.
    :ivar scaled: whether a value stored so is another number than in SQL.
    """

    name: str
    python_type: type
    comparable = True
    base: Kind | None = None
    storage: Kind | None = None
    scaled = False
    repeats = False

    def check(self, value: Any) -> Any:
        """Return ``value`` in its stored form. :raises ValueError: says what is wrong with it."""
        raise NotImplementedError

    def parse(self, text: str) -> Any:
        """Parse a value from the text of a URL. :raises ValueError: says what is wrong with it."""
        raise NotImplementedError

    def comparand(self, value: Any) -> Any:
        """``value`` in a form that can be compared with those of a column. :raises ValueError: says what is wrong."""
        return self.check(value)

    def held(self, comparand: Any) -> Any:
        """The value of a column that equals ``comparand``; None if there is none."""
        return comparand

    def store(self, value: Any) -> Any:
        """A checked value as one of ``storage``."""
        return value

    def restore(self, stored: Any) -> Any:
        """The value that is stored so. :raises ValueError: or ``TypeError``, if none is."""
        return stored

    def accepts_all(self, values: Sequence[Any]) -> bool:
        """Whether ``values``, all of ``python_type``, are certainly valid in their stored form.

        A fast check of a whole column of a batch; after False, each value must be checked alone.
        """
        return False


def check_text(value: str) -> None:
    """Raise ``ValueError`` for characters that not every backend can store."""
    if "\0" in value:
        raise ValueError("must not contain NUL")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("must not contain lone surrogates") from None


class Text(Kind):
    """Text of any length, without NUL and lone surrogates."""

    name = "text"
    python_type = str

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError("must be text")
        # Nearly all texts are neither of these; the call would cost as much as the two checks.
        if not value.isascii() or "\0" in value:
            check_text(value)
        return value

    def parse(self, text: str) -> str:
        return self.check(text)

    def accepts_all(self, values: Sequence[Any]) -> bool:
        try:
            check_text("".join(values))
        except ValueError:
            return False
        return True


class Integer(Kind):
    """A 64-bit integer; a bool is not accepted."""

    name = "integer"
    python_type = int

    def check(self, value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError("must be an integer")
        if not INTEGER_MIN <= value <= INTEGER_MAX:
            raise ValueError("must fit in 64 bits")
        return value

    def parse(self, text: str) -> int:
        if len(text) > 20 or not text.removeprefix("-").isdigit() or not text.isascii():
            raise ValueError("must be an integer")
        return self.check(int(text))

    def accepts_all(self, values: Sequence[Any]) -> bool:
        return bool(min(values) >= INTEGER_MIN and max(values) <= INTEGER_MAX)


class WrittenNumber(float):
    """A double that knows how it was written, which may have more digits.

    :ivar text: as which it was written.
    """

    text: str

    def __new__(cls, text: str) -> WrittenNumber:
        number = super().__new__(cls, text)
        number.text = text
        return number


class Float(Kind):
    """A finite double; an integer only if a double holds it exactly."""

    name = "number"
    python_type = float

    def check(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError("must be a number")
        try:
            number = float(value)
        except OverflowError:
            raise ValueError("must fit in a double") from None
        if not math.isfinite(number):
            raise ValueError("must be finite")
        if number != value:
            raise ValueError("must be representable exactly as a double")
        return number

    def parse(self, text: str) -> float:
        try:
            return self.check(float(text))
        except ValueError:
            raise ValueError("must be a number") from None

    def accepts_all(self, values: Sequence[Any]) -> bool:
        return math.isfinite(sum(values))


class Boolean(Kind):
    """True or false."""

    name = "boolean"
    python_type = bool

    def check(self, value: Any) -> bool:
        if not isinstance(value, bool):
            raise ValueError("must be true or false")
        return value

    def parse(self, text: str) -> bool:
        if text not in {"true", "false"}:
            raise ValueError("must be true or false")
        return text == "true"

    def accepts_all(self, values: Sequence[Any]) -> bool:
        return True


class Timestamp(Kind):
    """A point in time: an aware datetime or ISO 8601 text with a zone, stored in UTC with microseconds."""

    name = "timestamp"
    python_type = datetime

    def check(self, value: Any) -> datetime:
        if isinstance(value, str):
            value = self._from_text(value)
        if not isinstance(value, datetime):
            raise ValueError("must be a timestamp in ISO 8601")
        if value.tzinfo is None:
            raise ValueError("must have a time zone")
        try:
            return value.astimezone(UTC)
        except OverflowError:
            raise ValueError("must lie in the years 1 to 9999") from None

    def parse(self, text: str) -> datetime:
        return self.check(text)

    def accepts_all(self, values: Sequence[Any]) -> bool:
        return {*map(id, map(_ZONE, values))} == {id(UTC)}

    @staticmethod
    def _from_text(text: str) -> datetime:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("must be a timestamp in ISO 8601") from None


class Json(Kind):
    """Any JSON value, nested at most ``MAX_JSON_DEPTH`` deep, with the limits of the other types."""

    name = "json"
    python_type = object
    comparable = False

    def check(self, value: Any) -> Any:
        if type(value) is not JsonText and plain_json(value) is None:
            _check_json(value, MAX_JSON_DEPTH)
        return value

    def parse(self, text: str) -> Any:
        try:
            return self.check(orjson.loads(text))
        except orjson.JSONDecodeError:
            raise ValueError("must be JSON") from None


def _check_json(value: Any, depth: int) -> None:
    if isinstance(value, str):
        check_text(value)
    elif isinstance(value, dict | list):
        if depth == 0:
            raise ValueError(f"must not be nested deeper than {MAX_JSON_DEPTH} levels")
        if isinstance(value, dict):
            for key in value:
                # Most are such texts; the call would cost several times as much.
                if type(key) is not str or not key.isascii() or "\0" in key:
                    TEXT.check(key)
        _check_parts(value.values() if isinstance(value, dict) else value, depth)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int):
        INTEGER.check(value)
    elif isinstance(value, float):
        FLOAT.check(value)
    else:
        raise ValueError("must be JSON: objects, arrays, strings, numbers, true, false or null")


def _check_parts(parts: Iterable[Any], depth: int) -> None:
    for part in parts:
        # Most parts are such texts and numbers.
        if type(part) is str:
            if part.isascii() and "\0" not in part:
                continue
        elif type(part) is float and math.isfinite(part):
            continue
        _check_json(part, depth - 1)


TEXT = Text()
INTEGER = Integer()
FLOAT = Float()
BOOLEAN = Boolean()
TIMESTAMP = Timestamp()
JSON = Json()


def finite(number: float) -> float:
    """Read a stored double. :raises ValueError: for infinities and NaN, which JSON cannot represent."""
    if not math.isfinite(number):
        raise ValueError("must be finite")
    return float(number)


def moment(text: str) -> datetime:
    """Read a stored timestamp. :raises ValueError: or ``OverflowError``, if it is outside of the years 1 to 9999."""
    found = datetime.fromisoformat(text)
    # All times that we wrote are in UTC already, and converting them again costs as much as parsing them.
    if found.tzinfo is UTC:
        return found
    # Without a zone it is UTC, as for SQLite; astimezone would take the machine's zone.
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def moment_text(value: datetime) -> str:
    """A time as text in UTC with a fixed width, so that the order of texts is that of times."""
    # Written so, it takes a sixth of the time of isoformat; but a fraction of zero is left out.
    text = orjson.dumps(value, None, _IN_UTC)
    if len(text) == _WITH_FRACTION:
        return text[1:-1].decode()
    return f"{text[1:20].decode()}.000000Z" if len(text) == _WHOLE_SECOND else moment_text(value.astimezone(UTC))


def moment_texts(values: Sequence[datetime | None]) -> list[str | None]:
    """As :func:`moment_text`, of many times at once, in a third of the time; None stays."""
    together = orjson.dumps(values, None, _IN_UTC)
    if together.count(b'Z"') == len(values) and len(together) == len(values) * (_WITH_FRACTION + 1) + 1:
        return [*together[2:-2].decode().split('","')]
    return [
        text[1:-1] if len(text) == _WITH_FRACTION else None if value is None else moment_text(value)
        for text, value in zip(together[1:-1].decode().split(","), values, strict=True)
    ]


def exactly(kind: type) -> Callable[[Any], Any]:
    """Return a function that passes values of exactly this type, and raises ``TypeError`` for others."""

    def check(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return check
