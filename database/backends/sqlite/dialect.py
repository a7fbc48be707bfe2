"""How the portable values and conditions are spelled on SQLite."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import UUID

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from database.core.kinds.arrays import Arrays
from database.core.kinds.binary import BYTES
from database.core.kinds.binary import Bytes
from database.core.kinds.json_texts import JsonText
from database.core.kinds.json_texts import in_text
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
from database.core.kinds.values import moment_texts
from database.core.query.patterns import rewritten
from database.sql.dialect import SqlDialect
from database.sql.texts.parameters import Parameters
from database.sql.texts.parameters import json_document
from database.sql.texts.placeholders import Style

_LONG = "65536"
"""Bytes of a text from which on our own matcher is asked, which looks at the deadline."""

_GLOB = re.compile(r"\[(.)\]|.", re.DOTALL)
_LIKE = {"*": "%", "?": "_"}


def glob(pattern: str) -> str:
    """A ``like`` pattern as one of ``GLOB``, which tells upper from lower case."""
    return rewritten(pattern, "*", "?", _literal)


def like_of(pattern: str) -> str:
    """The ``like`` pattern that :func:`glob` made this one of."""
    return _GLOB.sub(lambda found: _LIKE.get(found[0]) or "\\" + (found[1] or found[0]), pattern)


def _literal(character: str) -> str:
    return f"[{character}]" if character in "*?[" else character


def _encode_json(value: Any) -> str:
    return (value if type(value) is JsonText else orjson.dumps(value)).decode()


def _number(value: float) -> float:
    if math.isnan(value):
        raise ValueError("is NaN, which SQLite would store as null")
    return value


def _decimal(value: Decimal) -> int | float:
    """The number that SQLite has for a decimal. :raises ValueError: if it has none with these digits."""
    if not value.is_finite():
        raise ValueError("must be finite")
    if value == value.to_integral_value():
        return INTEGER.check(int(value))
    number = float(value)
    if Decimal(repr(number)) != value:
        raise ValueError("has more digits than a double, and SQLite has no decimals; pass it as text")
    return number


def _moment(value: datetime) -> str:
    """A moment as the tables keep it; one without a zone is in UTC, as on a connection to PostgreSQL."""
    return moment_text(value if value.tzinfo is None else TIMESTAMP.check(value))


def _variant(operator: str, kind: Kind, operand: Any) -> str:
    """Patterns that are more than a beginning may take SQLite long, and nothing can interrupt it meanwhile."""
    if operator in {"like", "ilike"} and kind is TEXT and operand.find("%", 0, -1) >= 0:
        return f"{operator}_anywhere"
    return operator


def _unless_long(column: Any, quick: Any, sure: Any) -> Any:
    return sa.case((sa.func.octet_length(column) <= sa.literal_column(_LONG), quick), else_=sure)


def _bytes(column: Any) -> Any:
    return sa.cast(column, sa.LargeBinary)


def _like(column: Any, operand: Any) -> Any:
    return column.op("GLOB", is_comparison=True)(operand)


def _ilike(column: Any, operand: Any) -> Any:
    return sa.type_coerce(column, sa.Text()).like(operand, escape="\\")


def _contains(column: Any, operand: Any) -> Any:
    return sa.func.isthmus_contains(_bytes(column), operand) == sa.literal_column("1")


def _member(column: Any, param: Callable[[Any], Any]) -> Any:
    is_binary = isinstance(column.type, sa.LargeBinary)
    values: Any = sa.select(sa.literal_column("unhex(value)" if is_binary else "value")).select_from(
        sa.func.json_each(param(sa.Text()))
    )
    return column.in_(values.scalar_subquery())


DIALECT = SqlDialect(
    name="sqlite",
    compiler=sqlite.dialect(paramstyle="qmark"),
    insert=sqlite.insert,
    style=Style.QUESTION,
    counts_afterwards=True,
    parameters=Parameters(
        {
            float: _number,
            Decimal: _decimal,
            datetime: _moment,
            date: date.isoformat,
            time: lambda value: value.isoformat(timespec="microseconds"),
            timedelta: lambda value: value // timedelta(microseconds=1),
            UUID: str,
            dict: lambda value: _encode_json(json_document(value)),
            list: lambda value: _encode_json(json_document(value)),
        }
    ),
    encode={TIMESTAMP: moment_text, JSON: _encode_json},
    encode_many={TIMESTAMP: moment_texts, JSON: partial(in_text, write=_encode_json)},
    decode={TIMESTAMP: moment, BOOLEAN: bool, JSON: orjson.loads, FLOAT: finite},
    types={
        TEXT: frozenset({str}),
        INTEGER: frozenset({int}),
        BOOLEAN: frozenset({int}),
        FLOAT: frozenset({float, int}),
    },
    member=_member,
    bound_list=_encode_json,
    variant=_variant,
    operators={
        ("like", TEXT): _like,
        ("ilike", TEXT): _ilike,
        ("like_anywhere", TEXT): lambda column, operand: _unless_long(
            column, _like(column, operand), sa.func.isthmus_glob(_bytes(column), operand)
        ),
        ("ilike_anywhere", TEXT): lambda column, operand: _unless_long(
            column, _ilike(column, operand), sa.func.isthmus_ilike(_bytes(column), operand)
        ),
        ("contains", TEXT): lambda column, operand: sa.func.instr(column, operand) > sa.literal_column("0"),
        **dict.fromkeys((("contains", JSON), ("contains", Arrays)), _contains),
        ("contained_by", Arrays): lambda column, operand: (
            sa.func.isthmus_contained(_bytes(column), operand) == sa.literal_column("1")
        ),
    },
    operands={("like", TEXT): glob, ("in", BYTES): bytes.hex},
    native={Bytes: exactly(bytes)},
)
