"""Values as JSON that keeps their types.

JSON's own types are written as they are. A value of another type is an object ``{"$type": name, "value": text}``, and
an object that has the key ``$type`` itself is ``{"$type": "object", "value": {…}}``: what is read is what was stored.
A tuple becomes a list.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from collections.abc import Iterable
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from decimal import InvalidOperation
from math import isfinite
from typing import Any
from typing import Final
from uuid import UUID

import orjson

from database.core.kinds.binary import base64_text
from database.core.kinds.json_texts import compact
from storage.core.errors import StorageSerializationError

MAX_DEPTH: Final = 200
"""The deepest nesting of a value."""

_TAG: Final = "$type"
_TAG_IN_JSON: Final = b'"$type"'
_DOLLAR: Final = ord("$")
_PLAIN: Final = frozenset({str, bool, type(None)})
_MICROSECOND: Final = timedelta(microseconds=1)
_INT_64: Final = range(-(2**63), 2**64)


def to_json(value: Any) -> bytes:
    """``value`` as JSON. :raises StorageSerializationError: if a part of it has no JSON form; names where it is."""
    try:
        # Most values are written as they are.
        return compact(orjson.dumps(value if is_plain(value) else _tagged(value, "the value")))
    except StorageSerializationError:
        # A TypeError, as those of orjson are.
        raise
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise StorageSerializationError(f"the value has no JSON form: {error}") from error


def from_json(body: bytes) -> Any:
    """The value of :func:`to_json`. :raises ValueError: if the bytes are none."""
    value = orjson.loads(body)
    # One byte is found many times faster than several, and as a number than as a text.
    return _untagged(value) if _DOLLAR in body and _TAG_IN_JSON in body else value


def is_plain(value: Any, depth: int = MAX_DEPTH) -> bool:
    """Whether a value has only types of JSON, and no tag; keys of other types are refused when they are written."""
    return _are_plain((value,), depth + 1)


def _are_plain(parts: Iterable[Any], depth: int) -> bool:
    if depth == 0:
        return False
    # One loop, without a call for most parts: this is done for every value.
    for part in parts:
        kind = type(part)
        if kind in _PLAIN:
            continue
        if kind is dict:
            if _TAG in part or not _are_plain(part.values(), depth - 1):
                return False
        elif kind is list:
            if not _are_plain(part, depth - 1):
                return False
        elif not (isfinite(part) if kind is float else kind is int and part in _INT_64):
            return False
    return True


def _tagged(value: Any, where: str, depth: int = MAX_DEPTH) -> Any:
    """The value with tags. :raises StorageSerializationError: names the part that has no form."""
    if depth == 0:
        raise StorageSerializationError(f"{where} is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        _check_keys(value, where)
        parts = {key: _tagged(part, f"{where}[{key!r}]"[:200], depth - 1) for key, part in value.items()}
        return {_TAG: "object", "value": parts} if _TAG in parts else parts
    if isinstance(value, list | tuple):
        return [_tagged(part, f"{where}[{place}]"[:200], depth - 1) for place, part in enumerate(value)]
    if is_plain(value, 1):
        return value
    # The most special class first: a datetime is a date, too.
    for kind, name, write, _ in _FORMS:
        if type(value) is kind:
            return {_TAG: name, "value": write(value)}
    raise StorageSerializationError(
        f"Object of type {type(value).__name__!r} is not JSON serializable: convert {where} to text, a number, a"
        " list or a dict first"
    )


def _check_keys(value: dict[Any, Any], where: str) -> None:
    for key in value:
        if type(key) is not str:
            raise StorageSerializationError(f"a key of {where} is of type {type(key).__name__}, and must be text")


def _untagged(value: Any) -> Any:
    if isinstance(value, list):
        return [_untagged(part) for part in value]
    if not isinstance(value, dict):
        return value
    name = value.get(_TAG)
    if name is None:
        return {key: _untagged(part) for key, part in value.items()}
    text = value["value"]
    if name == "object":
        return {key: _untagged(part) for key, part in text.items()}
    try:
        return _READERS[name](text)
    except (KeyError, TypeError, AttributeError, InvalidOperation) as error:
        raise ValueError(f"an object has the unknown type {str(name)[:32]!r}") from error


_FORMS: Final[tuple[tuple[type, str, Callable[[Any], str], Callable[[str], Any]], ...]] = (
    (datetime, "datetime", datetime.isoformat, datetime.fromisoformat),
    (date, "date", date.isoformat, date.fromisoformat),
    (time, "time", time.isoformat, time.fromisoformat),
    (timedelta, "microseconds", lambda value: str(value // _MICROSECOND), lambda text: int(text) * _MICROSECOND),
    (Decimal, "decimal", str, Decimal),
    (UUID, "uuid", str, UUID),
    (bytes, "bytes", base64_text, lambda text: base64.b64decode(text, validate=True)),
    (int, "integer", str, int),
    (float, "float", repr, float),
)
_READERS: Final = {name: read for _, name, _, read in _FORMS}
