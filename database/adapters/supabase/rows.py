"""How values are spelled in PostgREST's JSON and URLs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from typing import Any

import orjson

from database.adapters.postgres.dialect import encode_json
from database.core.checks import GROUP_COUNT
from database.core.result import Row
from database.core.schema import Column
from database.core.schema import TableSchema
from database.core.values import FLOAT
from database.core.values import INTEGER
from database.core.values import JSON
from database.core.values import TIMESTAMP
from database.core.values import Kind


def encode(_: Column, value: Any) -> Any:
    """A checked value as JSON has it; times become text."""
    return value.isoformat() if isinstance(value, datetime) else value


def url_text(value: Any) -> str:
    """A checked value that is no JSON document as PostgreSQL reads it from text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)


def body(request: Mapping[str, Any]) -> str:
    """A request for one of Isthmus' own functions, as text that no gateway parses: some round large integers."""
    return encode_json(request)


def selected(table: TableSchema, names: Sequence[str]) -> list[str]:
    """The columns as ``select`` names them: documents as text, so that nothing on the way reads their numbers."""
    if _ambiguous(names):
        return ["*"]
    return [quoted_name(name) + ("::text" if table.columns[name].kind is JSON else "") for name in names]


def _ambiguous(names: Sequence[str]) -> bool:
    """Whether a column has the name of an aggregate, which not every server tells from it."""
    return GROUP_COUNT in names


def quoted_name(name: str) -> str:
    """A column's name for a URL, quoted if it has to be."""
    if name.isascii() and name.isidentifier():
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def decode_selected(table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows of a select by :func:`selected` columns.

    :raises KeyError: if a column is missing.
    :raises ValueError: or ``TypeError``, for a value that is not of its column's kind.
    """
    return _decoded(table, names, rows, _DECODERS if _ambiguous(names) else {**_DECODERS, JSON: orjson.loads})


def decode_returned(table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Rows that a function returned, in which documents are documents. Raises as :func:`decode_selected`."""
    return _decoded(table, names, rows, _DECODERS)


def decode_groups(table: TableSchema, names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Groups that a function returned, with their number of rows. Raises as :func:`decode_selected`."""
    decoded = decode_returned(table, names, rows)
    return [{**group, GROUP_COUNT: int(given[GROUP_COUNT])} for group, given in zip(decoded, rows, strict=True)]


def _decoded(
    table: TableSchema,
    names: Sequence[str],
    rows: Sequence[Mapping[str, Any]],
    decoders: Mapping[Kind, Callable[[Any], Any]],
) -> list[Row]:
    columns = [(name, decoders.get(table.columns[name].kind)) for name in names]
    return [
        {name: row[name] if decode is None or row[name] is None else decode(row[name]) for name, decode in columns}
        for row in rows
    ]


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


_DECODERS: Mapping[Kind, Callable[[Any], Any]] = {
    INTEGER: int,
    # PostgreSQL writes a whole double without a point.
    FLOAT: float,
    TIMESTAMP: _moment,
}
