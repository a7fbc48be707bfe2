"""Entries in the rows of a table: the body and the vector as text, headers and metadata as JSON."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from typing import Final

import orjson

from database.core.kinds.binary import base64_text
from database.core.result import Row
from storage.backends.about import body_from_text
from storage.core.entry import NOT_READ
from storage.core.entry import Stored
from storage.core.keys import with_nul

_EMPTY: Final = "{}"


def object_as_text(given: Mapping[str, Any]) -> str:
    """A JSON object; most are empty."""
    return orjson.dumps(given).decode() if given else _EMPTY


def vector_as_text(entry: Stored) -> str | None:
    """The vector of an entry; None without one."""
    return base64_text(entry.vector) if entry.vector else None


def vector_in(row: Row) -> bytes:
    """The vector in a row; empty if somebody has spoiled it."""
    text = row["vector"]
    try:
        return b"" if text is None else _vector(text)
    except ValueError:
        return b""


def entry_in(table: str, row: Row) -> Stored:
    """The entry in a row, which may lack the body and the vector.

    :param table: its name, for what is said of a damaged row.
    """
    # For every read; most entries are JSON without metadata and vector, for which nothing more is called.
    key, notes, named = with_nul(row["key"]), row["headers"], row["metadata"]
    text, numbers = row.get("body", ""), row.get("vector")
    try:
        headers = {} if notes == _EMPTY else orjson.loads(notes)
        metadata = {} if named == _EMPTY else orjson.loads(named)
        body = body_from_text(text, headers) if headers else text.encode()
        vector = b"" if numbers is None else _vector(numbers)
    except ValueError:
        return _damaged(table, key, row["stored_at"])
    known = (row["size"], headers, metadata, row["stored_at"], row["expires_at"])
    return tuple.__new__(Stored, (key, row["etag"], body, *known, vector))


def value_in(table: str, key: str, row: Row) -> Stored:
    """What the value of a key needs, in a row with the body, the headers and the time at which it expires."""
    text, notes = row["body"], row["headers"]
    try:
        headers = {} if notes == _EMPTY else orjson.loads(notes)
        body = body_from_text(text, headers) if headers else text.encode()
    except ValueError:
        return _damaged(table, key, NOT_READ)
    return tuple.__new__(Stored, (key, "", body, len(body), headers, {}, NOT_READ, row["expires_at"], b""))


def _damaged(table: str, key: str, stored_at: datetime) -> Stored:
    return Stored.damaged(key, f"its row in {table} is damaged", stored_at)


def _vector(text: str) -> bytes:
    return base64.b64decode(text, validate=True)
