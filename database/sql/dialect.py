"""What differs between SQL databases, as data: values going in, values coming out, and four expressions."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import sqlalchemy as sa

from database.core.tables.values import Kind
from database.sql.placeholders import Style

Expression = sa.ColumnElement[Any]
Build = Callable[[Expression, Expression], Expression]
"""Makes a condition from a column and a bound operand."""


def _as_asked(operator: str, _kind: Kind, _operand: Any) -> str:
    return operator


@dataclass(frozen=True)
class SqlDialect:
    """One SQL database.

    :ivar compiler: SQLAlchemy's dialect, with positional parameters.
    :ivar insert: the dialect's own ``insert``, which knows ``on conflict``.
    :ivar encode: for the kinds whose Python value is not what the driver binds.
    :ivar decode: for the kinds whose driver value is not the Python value.
    :ivar types: for the kinds whose columns may hold values of other types, the Python types that are meant.
    :ivar operators: conditions that the databases spell differently.
    :ivar operands: how the right-hand side of such a condition is bound.
    :ivar member: makes the condition that a column has one of the values of a list, which is one parameter.
    :ivar bound_list: that parameter, from a list of encoded values.
    :ivar variant: the name in ``operators`` for an operator with this operand, where the best way depends on it.
    :ivar explicit_collation: the collation to name where a text column does not declare it.
    :ivar style: the placeholders that the driver takes in SQL text.
    """

    name: str
    compiler: sa.Dialect
    insert: Callable[[sa.Table], Any]
    style: Style
    member: Callable[[Expression, Callable[[Any], Expression]], Expression]
    bound_list: Callable[[list[Any]], Any]
    variant: Callable[[str, Kind, Any], str] = _as_asked
    encode: Mapping[Kind, Callable[[Any], Any]] = field(default_factory=dict)
    decode: Mapping[Kind, Callable[[Any], Any]] = field(default_factory=dict)
    types: Mapping[Kind, frozenset[type]] = field(default_factory=dict)
    operators: Mapping[tuple[str, Kind], Build] = field(default_factory=dict)
    operands: Mapping[tuple[str, Kind], Callable[[Any], Any]] = field(default_factory=dict)
    explicit_collation: str | None = None
