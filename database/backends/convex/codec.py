"""Encoding of values for Convex.

Integers are Convex's int64; timestamps are text of fixed width in UTC, which sorts chronologically. A JSON document is
stored as a Convex value: its numbers are floats unless only an int64 can hold them, and keys that Convex would refuse
are escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final
from urllib.parse import quote
from urllib.parse import unquote

from convex import ConvexInt64

from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import FLOAT
from database.core.kinds.values import INTEGER
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import Kind
from database.core.kinds.values import exactly
from database.core.kinds.values import finite
from database.core.kinds.values import moment
from database.core.kinds.values import moment_text
from database.core.result import Row
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import UNDECODABLE
from database.core.tables.unreadable import ForeignValue

_SAFE: Final = 2**53
"""Integers beyond this are not exact as a float."""

_ESCAPED: Final = "~"
_REFUSED_FIRST: Final = ("$", "_", _ESCAPED)
_PLAIN: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def encode(column: Column, value: Any) -> Any:
    """A checked value of ``column`` in Convex's form."""
    if value is None:
        return None
    kind, value = column.kind.storage or column.kind, column.kind.store(value)
    if kind is INTEGER:
        return ConvexInt64(value)
    if kind is TIMESTAMP:
        return moment_text(value)
    return encode_document(value) if kind is JSON else value


def decode_row(table: TableSchema, document: Mapping[str, Any]) -> Row:
    """A record from a Convex document. Missing columns are None, as in documents older than the column.

    A value that does not have its column's kind becomes a :class:`~database.core.tables.unreadable.ForeignValue`.
    """
    return {name: _decode(column, document.get(name)) for name, column in table.columns.items()}


def encode_document(value: Any) -> Any:
    """A JSON document in Convex's form."""
    if isinstance(value, dict):
        return {escape_key(key): encode_document(part) for key, part in value.items()}
    if isinstance(value, list):
        return [encode_document(part) for part in value]
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if -_SAFE <= value <= _SAFE else ConvexInt64(value)
    return value


def decode_document(value: Any) -> Any:
    """The inverse of :func:`encode_document`; a float without a fraction becomes an integer.

    :raises ValueError: or ``TypeError``, for a value that JSON cannot represent.
    """
    if isinstance(value, dict):
        return {_unescape(key): decode_document(part) for key, part in value.items()}
    if isinstance(value, list):
        return [decode_document(part) for part in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() and -_SAFE <= value <= _SAFE else finite(value)
    if isinstance(value, bytes):
        raise TypeError("JSON has no bytes")
    return plain(value)


def plain(value: Any) -> Any:
    """A function's return value without the official package's own types: int64 becomes ``int``."""
    if isinstance(value, ConvexInt64):
        return value.value
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def _decode(column: Column, value: Any) -> Any:
    if value is None:
        return None
    kind = column.kind.storage or column.kind
    try:
        return column.kind.restore(_DECODERS[kind](value))
    except UNDECODABLE:
        return ForeignValue(value, _place(kind, value), (_RANKS[type(value)], _key(value)))


def _integer(value: Any) -> Any:
    return value if type(value) is int else value.value


def _number(value: float) -> float:
    if type(value) is not float:
        raise TypeError
    return finite(value)


_DECODERS: Mapping[Kind, Callable[[Any], Any]] = {
    TEXT: exactly(str),
    INTEGER: _integer,
    FLOAT: _number,
    BOOLEAN: exactly(bool),
    TIMESTAMP: moment,
    JSON: decode_document,
}
_WIRE_TYPES: Mapping[Kind, Any] = {TEXT: str, INTEGER: ConvexInt64, FLOAT: float, BOOLEAN: bool, TIMESTAMP: str}
_RANKS: Mapping[type, int] = {
    type(None): 0,
    ConvexInt64: 1,
    int: 1,
    float: 2,
    bool: 3,
    str: 4,
    bytes: 5,
    list: 6,
    dict: 7,
}
"""The sort order of value types in Convex's indexes."""


def _key(value: Any) -> Any:
    """The sort key among values of one type: NaN comes last, and containers are ordered by their text."""
    if isinstance(value, float):
        return (math.isnan(value), value)
    return plain(value) if isinstance(value, ConvexInt64 | int | str) else repr(value)


def _place(kind: Kind, value: Any) -> Callable[[Any], bool] | bool:
    """Whether a value sorts before all values of a kind; for a timestamp, a function that compares it with one."""
    meant = _WIRE_TYPES.get(kind)
    if meant is None:
        return False
    if not isinstance(value, meant):
        return _RANKS[type(value)] < _RANKS[meant]
    if kind is TIMESTAMP:
        return lambda time: bool(value < moment_text(time))
    return kind is FLOAT and bool(value < 0)


def escape_key(key: str) -> str:
    """A key of a JSON object in a form that Convex accepts."""
    if key and key.isascii() and key.isprintable() and not key.startswith(_REFUSED_FIRST):
        return key
    return _ESCAPED + quote(key, safe=_PLAIN)


def _unescape(key: str) -> str:
    return unquote(key[1:]) if key.startswith(_ESCAPED) else key
