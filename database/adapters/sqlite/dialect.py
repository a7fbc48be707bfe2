"""How the portable values and conditions are spelled on SQLite."""

from __future__ import annotations

from datetime import UTC
from datetime import datetime
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from database.adapters.sql.dialect import SqlDialect
from database.adapters.sql.placeholders import Style
from database.core.values import BOOLEAN
from database.core.values import JSON
from database.core.values import TEXT
from database.core.values import TIMESTAMP
from database.core.values import json_contains


def encode_timestamp(value: datetime) -> str:
    """ISO 8601 in UTC with a fixed width, so that text order is time order."""
    return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def decode_timestamp(text: str) -> datetime:
    """The moment that :func:`encode_timestamp` wrote."""
    return datetime.fromisoformat(text).astimezone(UTC)


def glob(pattern: str) -> str:
    """A ``like`` pattern as one of ``GLOB``, which tells upper from lower case."""
    parts: list[str] = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\":
            parts.append(_literal(next(characters)))
        else:
            parts.append({"%": "*", "_": "?"}.get(character) or _literal(character))
    return "".join(parts)


def contains(document: Any, part: Any) -> bool | None:
    """The SQL function ``isthmus_contains``: JSON containment of two JSON texts."""
    if document is None or part is None:
        return None
    return json_contains(orjson.loads(document), orjson.loads(part))


def _literal(character: str) -> str:
    return f"[{character}]" if character in "*?[" else character


def _encode_json(value: Any) -> str:
    return orjson.dumps(value).decode()


DIALECT = SqlDialect(
    name="sqlite",
    compiler=sqlite.dialect(paramstyle="qmark"),
    insert=sqlite.insert,
    style=Style.QUESTION,
    encode={TIMESTAMP: encode_timestamp, JSON: _encode_json},
    decode={TIMESTAMP: decode_timestamp, BOOLEAN: bool, JSON: orjson.loads},
    operators={
        ("like", TEXT): lambda column, operand: column.op("GLOB", is_comparison=True)(operand),
        ("ilike", TEXT): lambda column, operand: column.like(operand, escape="\\"),
        ("contains", TEXT): lambda column, operand: sa.func.instr(column, operand) > sa.literal_column("0"),
        ("contains", JSON): lambda column, operand: sa.func.isthmus_contains(column, operand) == sa.literal_column("1"),
    },
    operands={("like", TEXT): glob},
)
