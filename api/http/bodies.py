"""Request bodies: strict JSON, and rows without columns that only the server may set."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import IO
from typing import Any

import orjson
from flask import g
from flask import request
from werkzeug.exceptions import BadRequest
from werkzeug.exceptions import ClientDisconnected
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.exceptions import UnsupportedMediaType

from database import Column
from database import InvalidRow
from database import TableSchema
from database.core.kinds.arrays import Arrays
from database.core.kinds.values import Kind
from database.core.tables.keys import Key
from database.core.tables.keys import parts_of

MAX_ROWS = 1000

_CHUNK = 256 << 10

_LONG_NUMBER = re.compile(rb"\d{20}")

_CHARSETS = frozenset({"utf-8", "utf8"})

Body = dict[str, Any]


def read_object() -> Body:
    """The request's body, a JSON object. :raises HTTPException: as :func:`read_json`; 400 for another JSON value."""
    body = read_json()
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object")
    return body


def read_rows(schema: TableSchema) -> tuple[list[Body], bool]:
    """The rows in the request's body, and whether the body is a list.

    :raises HTTPException: as :func:`read_object`; also 400 for more than ``MAX_ROWS`` rows.
    :raises InvalidRow: for a row that is not an object, or sets a column that only the server may set.
    """
    body = read_json()
    bulk = isinstance(body, list)
    if not bulk and not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object or a list of objects")
    rows: list[Body] = body if bulk else [body]
    if len(rows) > MAX_ROWS:
        raise BadRequest(f"The body must have at most {MAX_ROWS} rows")
    g.isthmus_bulk = bulk
    for index, row in enumerate(rows):
        _check_row(schema, row, index)
    _read_decimals(schema, rows)
    return rows, bulk


def read_changes(schema: TableSchema) -> Body:
    """New values for columns of a record, from the request's body.

    :raises HTTPException: as :func:`read_object`.
    :raises InvalidRow: for an unknown column, a column that only the server may set, or an invalid value.
    """
    changes = read_object()
    for name in schema.key:
        if name in changes:
            raise _invalid(name, "cannot be changed")
    _check_row(schema, changes)
    _read_decimals(schema, [changes])
    for name, value in changes.items():
        if name not in schema.columns:
            raise _invalid(name, f"does not exist in table {schema.name!r}")
        try:
            changes[name] = schema.columns[name].check(value)
        except ValueError as error:
            raise _invalid(name, str(error)) from None
    return changes


def read_replacement(schema: TableSchema, key: Key) -> Body:
    """A whole record with the key ``key``, from the request's body.

    :raises HTTPException: as :func:`read_object`.
    :raises InvalidRow: for another key in the body, or a column that only the server may set.
    """
    row = read_object()
    for name, part in zip(schema.key, parts_of(schema, key), strict=True):
        given = row.setdefault(name, part)
        row[name] = part if _is_same(schema.columns[name], given, part) else given
        if row[name] != part or type(row[name]) is not type(part):
            raise _invalid(name, "must be the id in the URL" if name == "id" else "must be as in the URL")
    _check_row(schema, row)
    _read_decimals(schema, [row])
    return row


def read_bytes() -> bytes:
    """The bytes of the request's body.

    :raises HTTPException: 413 for more bytes than ``MAX_CONTENT_LENGTH``, 415 if they are compressed.
    """
    _refuse_coding()
    data = request.get_data()
    # Without a Content-Length, the stream ends silently at the limit.
    if request.content_length is None and len(data) >= (request.max_content_length or len(data) + 1):
        raise RequestEntityTooLarge
    return data


def read_chunks() -> Iterator[bytes]:
    """The bytes of the request's body in chunks, which are received while they are read, and can be read once.

    :raises HTTPException: as :func:`read_bytes`. If the size is known too late for that, the iterator raises it; also a
        400 if the body ends too early.
    """
    _refuse_coding()
    if getattr(request, "_cached_data", None) is not None:
        return iter((read_bytes(),))
    return _chunks(request.stream)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    size, declared = 0, request.content_length
    # A read behind the limit raises the 413.
    while size != declared and (chunk := stream.read(_CHUNK)):
        size += len(chunk)
        yield chunk
    if declared is not None and size != declared:
        raise ClientDisconnected


def _refuse_coding() -> None:
    coding = request.headers.get("Content-Encoding", "identity")
    if coding.strip().lower() not in {"", "identity"}:
        raise UnsupportedMediaType("The body must not have a Content-Encoding")


def read_json() -> Any:
    """The JSON value in the request's body. The last value of a repeated name is used.

    :raises HTTPException: 415 for another media type, 413 if the body is too large, 400 if it is not JSON.
    """
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("The body must be application/json")
    if request.mimetype_params.get("charset", "utf-8").lower() not in _CHARSETS:
        raise UnsupportedMediaType("The body must be in UTF-8")
    try:
        return _decoded(read_bytes())
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"The body is not JSON: {error}") from None


def _decoded(body: bytes) -> Any:
    document = orjson.loads(body)
    # orjson converts an integer beyond 64 bits to a double; json keeps it exact, so that validation rejects it.
    return json.loads(body) if _LONG_NUMBER.search(body) else document


def _read_decimals(schema: TableSchema, rows: list[Body]) -> None:
    """Read the decimals of the rows in the body again, with all their digits, which a double may not have."""
    names = [name for name, column in schema.columns.items() if _of_decimals(column.kind)]
    given = [row.get(name) for row in rows for name in names]
    if not any(type(value) is float or (type(value) is list and float in map(type, value)) for value in given):
        return
    body = json.loads(read_bytes(), parse_float=Decimal)
    for row, exact in zip(rows, body if isinstance(body, list) else [body], strict=True):
        row.update({name: exact[name] for name in names if name in exact})


def _of_decimals(kind: Kind) -> bool:
    return (kind.item if isinstance(kind, Arrays) else kind).python_type is Decimal


def _check_row(schema: TableSchema, row: Any, index: int = 0) -> None:
    """Checks that the data layer does not make, because they apply to HTTP clients only."""
    if not isinstance(row, dict):
        raise InvalidRow(f"row {index + 1} must be an object", row=index, column=None)
    for name in schema.managed & row.keys():
        raise _invalid(name, "is set by the server; remove it", index)
    name = schema.key[0]
    part = row.get(name) if schema.text_key else None
    # A record with such a key could not be addressed by a URL.
    if isinstance(part, str) and part in {".", ".."}:
        raise _invalid(name, "must not be . or ..", index)


def _is_same(column: Column, given: Any, part: Any) -> bool:
    """Whether a value in a body is one of the spellings of a part of a key."""
    try:
        return bool(column.check(given) == part)
    except ValueError:
        return False


def _invalid(column: str, problem: str, index: int = 0) -> InvalidRow:
    where = f"row {index + 1}: " if g.get("isthmus_bulk") else ""
    return InvalidRow(f"{where}column {column[:64]!r} {problem}", row=index, column=column[:64])
