"""Values as Convex keeps them.

Integers are Convex's int64, times are text of fixed width in UTC, which sorts as the times do. A JSON document is
a Convex value of its own: its numbers are floats unless only an int64 holds them, and its keys are escaped where
Convex would refuse them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final
from urllib.parse import quote
from urllib.parse import unquote

from convex import ConvexInt64

from database.core.result import Row
from database.core.schema import Column
from database.core.schema import TableSchema
from database.core.values import INTEGER
from database.core.values import JSON
from database.core.values import TIMESTAMP

_SAFE: Final = 2**53
"""Integers beyond this are not exact as a float."""

_ESCAPED: Final = "~"
_REFUSED_FIRST: Final = ("$", "_", _ESCAPED)
_PLAIN: Final = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def encode(column: Column, value: Any) -> Any:
    """A checked value of ``column`` in Convex's form."""
    if value is None:
        return None
    if column.kind is INTEGER:
        return ConvexInt64(value)
    if column.kind is TIMESTAMP:
        return value.isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"
    return encode_document(value) if column.kind is JSON else value


def decode_row(table: TableSchema, document: Mapping[str, Any]) -> Row:
    """A record from a Convex document. Columns that it lacks are None, as in documents older than the column."""
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
    """The JSON document that :func:`encode_document` was given; a float without a fraction comes back an integer."""
    if isinstance(value, dict):
        return {_unescape(key): decode_document(part) for key, part in value.items()}
    if isinstance(value, list):
        return [decode_document(part) for part in value]
    if isinstance(value, float) and value.is_integer() and -_SAFE <= value <= _SAFE:
        return int(value)
    return plain(value)


def plain(value: Any) -> Any:
    """A value of a function's answer without the official package's own types: int64 becomes ``int``."""
    if isinstance(value, ConvexInt64):
        return value.value
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list) else value


def _decode(column: Column, value: Any) -> Any:
    if value is None:
        return None
    if column.kind is INTEGER:
        return plain(value)
    if column.kind is TIMESTAMP:
        return datetime.fromisoformat(value).astimezone(UTC)
    return decode_document(value) if column.kind is JSON else value


def escape_key(key: str) -> str:
    """A key of a JSON object as Convex takes it."""
    if key and key.isascii() and key.isprintable() and not key.startswith(_REFUSED_FIRST):
        return key
    return _ESCAPED + quote(key, safe=_PLAIN)


def _unescape(key: str) -> str:
    return unquote(key[1:]) if key.startswith(_ESCAPED) else key
