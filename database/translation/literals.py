"""The values in SQL text: literals, placeholders, casts and the current time."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlglot import exp

from database.core.errors import InvalidQuery
from database.core.kinds.calendar import LOCAL_TIMESTAMP
from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import FLOAT
from database.core.kinds.values import INTEGER
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import Kind
from database.core.kinds.values import WrittenNumber
from database.core.tables.schema import TableSchema
from database.translation.syntax import place_of
from database.translation.syntax import refused
from database.translation.syntax import refused_node
from database.translation.syntax import require
from database.translation.syntax import unwrapped

_CASTS: dict[exp.DType, Kind] = {
    exp.DType.TEXT: TEXT,
    exp.DType.VARCHAR: TEXT,
    exp.DType.UUID: TEXT,
    exp.DType.SMALLINT: INTEGER,
    exp.DType.INT: INTEGER,
    exp.DType.BIGINT: INTEGER,
    exp.DType.DOUBLE: FLOAT,
    exp.DType.BOOLEAN: BOOLEAN,
    exp.DType.TIMESTAMPTZ: TIMESTAMP,
    exp.DType.TIMESTAMP: LOCAL_TIMESTAMP,
    exp.DType.JSON: JSON,
    exp.DType.JSONB: JSON,
}
"""The casts that equal a column type; other casts round, truncate or have another meaning."""


_NUMBERS = (int, float)


class Bindings(NamedTuple):
    """The values of a statement's placeholders, and the time at which it began."""

    values: Sequence[Any]
    now: datetime


class Term(ABC):
    """A value that depends on the bindings only."""

    __slots__ = ()

    @abstractmethod
    def value(self, bindings: Bindings) -> Any:
        """The value. :raises InvalidQuery: if a cast or a sign cannot be applied to it."""


@dataclass(frozen=True, slots=True)
class Constant(Term):
    """A literal."""

    content: Any

    def value(self, bindings: Bindings) -> Any:
        return self.content


@dataclass(frozen=True, slots=True)
class Parameter(Term):
    """A placeholder, by its number from 0."""

    place: int

    def value(self, bindings: Bindings) -> Any:
        return bindings.values[self.place]


@dataclass(frozen=True, slots=True)
class Now(Term):
    """The time at which the statement began."""

    def value(self, bindings: Bindings) -> Any:
        return bindings.now


@dataclass(frozen=True, slots=True)
class Negated(Term):
    """A number with a minus before it."""

    term: Term

    def value(self, bindings: Bindings) -> Any:
        number = self.term.value(bindings)
        if number is None:
            return None
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidQuery("a minus sign can only be applied to a number")
        return WrittenNumber(f"-{number.text}") if isinstance(number, WrittenNumber) else -number


@dataclass(frozen=True, slots=True)
class Converted(Term):
    """A cast."""

    term: Term
    kind: Kind

    def value(self, bindings: Bindings) -> Any:
        value = self.term.value(bindings)
        try:
            if self.kind is JSON:
                # The column parses the text itself; a JSON string parsed here would be parsed a second time there.
                read_json(value)
                return value
            return None if value is None else self.kind.check(read(self.kind, value))
        except ValueError as error:
            raise InvalidQuery(f"the value of a cast {error}") from None


def term_of(node: exp.Expr) -> Term:
    """Convert a node to a term. :raises Unsupported: for computed values."""
    node = unwrapped(node)
    match node:
        case exp.Literal():
            return Constant(node.name if node.is_string else _number(node.name))
        case exp.Placeholder():
            return Parameter(place_of(node))
        case exp.Null():
            return Constant(None)
        case exp.Boolean():
            return Constant(bool(node.this))
        case exp.Neg():
            return Negated(term_of(node.this))
        case exp.CurrentTimestamp():
            require(node)
            return Now()
        case exp.Cast():
            return _cast(node)
    raise refused_node(node)


def read(kind: Kind, value: Any) -> Any:
    """Convert a value from SQL text to ``kind``: text is parsed, like an untyped literal in SQL.

    Text that cannot be parsed is returned unchanged; the check of its column refuses it.

    :raises ValueError: for invalid JSON, which the check of a JSON column would accept as a string.
    """
    if value is None:
        return value
    if kind is TEXT:
        return str(value) if isinstance(value, UUID) else value
    if isinstance(value, Decimal) and kind.python_type in _NUMBERS:
        return _exact(value)
    if kind is JSON:
        return read_json(value)
    if isinstance(value, str):
        try:
            return kind.parse(value)
        except ValueError:
            return value
    return value


def _exact(value: Decimal) -> int | float | Decimal:
    """The number of another type with the same digits; the decimal itself, which the column refuses, if none has."""
    if not value.is_finite():
        return value
    if value == value.to_integral_value():
        return int(value)
    number = float(value)
    return number if Decimal(repr(number)) == value else value


def read_json(value: Any) -> Any:
    """Parse JSON text; dicts and lists are returned unchanged. :raises ValueError: says what is wrong."""
    if value is None or isinstance(value, dict | list):
        return value
    if not isinstance(value, str):
        raise ValueError("must be JSON text, an object or an array")
    try:
        document = orjson.loads(value)
    except ValueError:
        raise ValueError("must be JSON") from None
    if document is None:
        raise ValueError("must not be the JSON null, which some backends cannot distinguish from SQL NULL")
    return document


def column_value(table: TableSchema, column: str, value: Any) -> Any:
    """Convert a value to be stored in a column or compared with it. :raises InvalidQuery: for invalid JSON."""
    try:
        return read(table.column(column).kind, value)
    except ValueError as error:
        raise InvalidQuery(f"column {column!r} {error}") from None


def _number(text: str) -> int | float:
    try:
        return int(text) if text.isdigit() else WrittenNumber(text)
    except ValueError:
        raise InvalidQuery("a number in the statement has too many digits") from None


def _cast(node: exp.Cast) -> Term:
    require(node, "this", "to")
    require(node.to, "this")
    kind = _CASTS.get(node.to.this)
    if kind is None:
        raise refused(f"a cast to {node.to.this.value}")
    return Converted(term_of(node.this), kind)
