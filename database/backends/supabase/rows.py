"""Encoding of values in PostgREST's JSON and URLs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import date
from datetime import time
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson

from database.backends.postgres.dialect import encode_json
from database.core.kinds.arrays import Arrays
from database.core.kinds.binary import Bytes
from database.core.kinds.chars import Chars
from database.core.kinds.chars import without_blanks
from database.core.kinds.decimals import Decimals
from database.core.kinds.durations import Durations
from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import FLOAT
from database.core.kinds.values import INTEGER
from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import INTEGER_MIN
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import Kind
from database.core.kinds.values import WrittenNumber
from database.core.kinds.values import exactly
from database.core.kinds.values import finite
from database.core.kinds.values import moment
from database.core.query.validation import GROUP_COUNT
from database.core.result import Row
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import UNDECODABLE
from database.core.tables.unreadable import ForeignValue

Wire = dict[str, Any]

_AS_TEXT = (Decimal, date, time, timedelta, bytes)
_INTERVAL = re.compile(
    r"(?:(?P<days>[+-]?\d+) days? ?)?"
    r"(?:(?P<sign>[+-]?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?",
    re.ASCII,
)
"""As PostgreSQL writes an interval without months."""

_ITEM = re.compile(r'"((?:[^"\\]|\\.)*)"|([^",{}]+)', re.S)
_ARRAY = re.compile(rf"\{{(?:(?:{_ITEM.pattern})(?:,(?:{_ITEM.pattern}))*)?\}}", re.S)
_ESCAPED = re.compile(r"\\(.)", re.S)
_BOOLEANS = {"t": True, "f": False}

_LONGEST = 20
"""Most characters of a 64-bit integer."""


def encode(column: Column, value: Any) -> Any:
    """A checked value as JSON; timestamps, dates, times and decimals become text."""
    if isinstance(value, _AS_TEXT):
        return url_text(value)
    if type(value) is list and isinstance(column.kind, Arrays):
        return [url_text(item) if isinstance(item, _AS_TEXT) else item for item in value]
    return value


def url_text(value: Any) -> str:
    """A checked value other than a JSON document, as text that PostgreSQL can parse."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, timedelta):
        return f"{value.days} days +{value.seconds} seconds +{value.microseconds} microseconds"
    return value.isoformat() if isinstance(value, date | time) else str(value)


def body(request: Mapping[str, Any]) -> str:
    """A request for one of Isthmus's own functions, as text that gateways do not parse: some round large integers."""
    return encode_json(request)


def selected(table: TableSchema, names: Sequence[str]) -> list[str]:
    """The columns for PostgREST's ``select``; as text what a gateway could change."""
    if ambiguous(names):
        return ["*"]
    return [quoted_name(name) + ("::text" if _is_changed(table.columns[name]) else "") for name in names]


def _is_changed(column: Column) -> bool:
    return column.kind is JSON or isinstance(column.kind, Decimals | Bytes | Arrays)


def ambiguous(names: Sequence[str]) -> bool:
    """Whether a column has the name of an aggregate, which some servers confuse. All columns are selected then."""
    return GROUP_COUNT in names


def quoted_name(name: str) -> str:
    """A column's name for a URL, quoted if necessary."""
    if name.isascii() and name.isidentifier():
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def decode_selected(table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows of a query for :func:`selected` columns, with a :class:`~database.core.tables.unreadable.ForeignValue` for a
    value that does not have its column's kind.

    :raises KeyError: if a column is missing.
    """
    return _decoded(table, names, rows, _SELECTED)


def decode_returned(table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Like :func:`decode_selected`, for rows returned by a function, in which documents are JSON and not text."""
    return _decoded(table, names, rows, _DECODERS)


def decode_groups(table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Like :func:`decode_selected`, for groups returned by a function, with their number of rows."""
    decoded = decode_returned(table, names, rows)
    return [{**group, GROUP_COUNT: int(given[GROUP_COUNT])} for group, given in zip(decoded, rows, strict=True)]


def stored(table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Wire]:
    """The stored form of a query's rows, as an argument of one of Isthmus's own functions."""
    forms = {name: _STORED[kind] for name in names if (kind := table.columns[name].kind) in _STORED}
    return [{**row, **{name: form(row[name]) for name, form in forms.items()}} for row in rows]


def exact(content: bytes) -> Any:
    """Parse JSON and keep the text of its numbers, because a document may have numbers that no double can hold.

    :raises ValueError: if it is not valid JSON.
    """
    return json.loads(content, parse_float=WrittenNumber, parse_int=_whole)


def with_texts(table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Wire]:
    """Rows of :func:`exact` JSON in the form of a query for :func:`selected` columns."""
    documents = {name for name in names if table.columns[name].kind is JSON}
    decimals = {name for name in names if isinstance(table.columns[name].kind, Decimals)}
    return [
        {name: _text(row[name]) if name in documents else _texts(row[name], name in decimals) for name in names}
        for row in rows
    ]


def _whole(text: str) -> int | WrittenNumber:
    if len(text) <= _LONGEST and INTEGER_MIN <= (number := int(text)) <= INTEGER_MAX:
        return number
    return WrittenNumber(text)


def _texts(value: Any, as_text: bool) -> Any:
    return [_plain(item, True) for item in value] if type(value) is list else _plain(value, as_text)


def _plain(value: Any, as_text: bool) -> Any:
    if type(value) is not WrittenNumber:
        return value
    return value.text if as_text else float(value)


def _text(document: Any) -> str | None:
    if document is None:
        return None
    return orjson.dumps(document, default=lambda number: orjson.Fragment(number.text)).decode()


def _fragment(text: Any) -> Any:
    return orjson.Fragment(text) if isinstance(text, str) else text


def _double(value: Any) -> Any:
    # A whole double may arrive as an integer, of more digits than the request may have.
    return float(value) if type(value) is int else value


def _decoded(
    table: TableSchema,
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    decoders: Mapping[Kind, Callable[[Any], Any]],
) -> list[Row]:
    kinds = [(name, table.columns[name].checks) for name in names]
    columns = [(name, kind, _decoder(kind, decoders)) for name, kind in kinds]
    return [{name: _value(kind, row[name], decode) for name, kind, decode in columns} for row in rows]


def _value(kind: Kind, value: Any, decode: Callable[[Any], Any] | None) -> Any:
    if value is None or decode is None:
        return value
    try:
        return decode(value)
    except UNDECODABLE:
        if kind is JSON:
            return ForeignValue(_fragment(value))
        return ForeignValue(value, below=_comes_first(value))


def _decoder(kind: Kind, decoders: Mapping[Kind, Callable[[Any], Any]]) -> Callable[[Any], Any] | None:
    if kind.base is not None:
        return _stripped if isinstance(kind, Chars) else _decoder(kind.base, decoders)
    if kind.storage is None:
        return decoders.get(kind)
    if isinstance(kind, Arrays):
        return _array_decoder(kind, decoders)
    read = _READ.get(type(kind))
    return kind.restore if read is None else lambda value: read(kind, value)


def _array_decoder(kind: Arrays, decoders: Mapping[Kind, Callable[[Any], Any]]) -> Callable[[Any], Any]:
    item = kind.item.base or kind.item
    read = _decoder(item, decoders)

    def decode(value: Any) -> Any:
        items = _items(value, item) if isinstance(value, str) else value
        return kind.read(items, read or (lambda one: one))

    return decode


def _items(text: str, item: Kind) -> list[Any]:
    """The items of an array as PostgreSQL writes it. :raises ValueError: for several dimensions, or other bounds."""
    if not _ARRAY.fullmatch(text):
        raise ValueError("must be an array of one dimension")
    # Text that could be taken for a null has quotation marks.
    found = [None if bare == "NULL" else bare or _ESCAPED.sub(r"\1", quoted) for quoted, bare in _ITEM.findall(text)]
    return [_BOOLEANS.get(one or "") for one in found] if item is BOOLEAN else found


def _comes_first(value: Any) -> bool:
    """Whether PostgreSQL sorts it before all values of its column: timestamps before the year 1, and minus infinity."""
    return isinstance(value, str) and (value.startswith("-") or value.endswith(" BC"))


def _stripped(value: Any) -> str:
    return without_blanks(exactly(str)(value))


def _integer(value: Any) -> int:
    if type(value) is float or type(value) is bool:
        raise TypeError
    return int(value)


def _read_bytes(kind: Kind, value: str) -> Any:
    if not value.startswith("\\x"):
        raise ValueError
    return kind.restore(value[2:])


def _read_interval(_: Kind, value: str) -> timedelta:
    found = _INTERVAL.fullmatch(value)
    if found is None or not value:
        raise ValueError
    sign = -1 if found["sign"] == "-" else 1
    length = timedelta(
        hours=int(found["hours"] or 0),
        minutes=int(found["minutes"] or 0),
        seconds=int(found["seconds"] or 0),
        microseconds=int((found["fraction"] or "").ljust(6, "0")),
    )
    return timedelta(int(found["days"] or 0)) + sign * length


_READ: Mapping[type[Kind], Callable[[Kind, Any], Any]] = {
    Decimals: lambda kind, value: kind.check(value),
    Bytes: _read_bytes,
    Durations: _read_interval,
}
_DECODERS: Mapping[Kind, Callable[[Any], Any]] = {
    TEXT: exactly(str),
    INTEGER: _integer,
    BOOLEAN: exactly(bool),
    # PostgreSQL writes a whole double without a decimal point.
    FLOAT: lambda value: finite(float(value)),
    TIMESTAMP: moment,
}
_SELECTED: Mapping[Kind, Callable[[Any], Any]] = {**_DECODERS, JSON: orjson.loads}
_STORED: Mapping[Kind, Callable[[Any], Any]] = {JSON: _fragment, FLOAT: _double}
