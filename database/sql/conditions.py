"""Filters and sort keys as SQL: the shape of each, its values apart, and the expression that a shape is compiled to."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from itertools import count
from typing import Any

import sqlalchemy as sa

from database.core.kinds.arrays import Arrays
from database.core.kinds.enums import is_native_enum
from database.core.kinds.values import TEXT
from database.core.kinds.values import Kind
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.tables.schema import TableSchema
from database.sql.dialect import Expression
from database.sql.dialect import SqlDialect

Shape = tuple[Any, ...]

# As text, because SQLAlchemy leaves out what its own constants decide, and the values of that would stay behind.
_TRUE: Expression = sa.literal_column("(1 = 1)")
_FALSE: Expression = sa.literal_column("(1 = 0)")

_PLAIN: dict[str, Callable[[Expression, Expression], Expression]] = {
    "eq": lambda column, value: column == value,
    "neq": lambda column, value: column != value,
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
}


class Params:
    """Bound parameters named by the index of their value."""

    def __init__(self) -> None:
        self._indexes: Iterator[int] = count()

    def next(self, type_: sa.types.TypeEngine[Any] | None = None) -> sa.BindParameter[Any]:
        return sa.bindparam(f"v{next(self._indexes)}", type_=type_)


class Conditions:
    """The conditions on the rows of one table.

    :param source: the table as SQLAlchemy knows it.
    """

    def __init__(self, schema: TableSchema, source: sa.Table, dialect: SqlDialect) -> None:
        self._schema = schema
        self._source = source
        self._dialect = dialect
        self._operands: dict[tuple[str, str], tuple[Kind, Callable[[Any], Any] | None]] = {}

    def shape(self, where: Filter | None, values: list[Any]) -> Shape | None:
        """The shape of a checked filter; appends its encoded values to ``values``."""
        if where is None:
            return None
        if isinstance(where, Where):
            return self._shape_of_condition(where, values)
        if isinstance(where, Not):
            return ("not", self.shape(where.part, values))
        parts = where.parts  # type: ignore[attr-defined]  # And or Or: the check has refused all others
        return ("and" if isinstance(where, And) else "or", *[self.shape(part, values) for part in parts])

    def _shape_of_condition(self, where: Where, values: list[Any]) -> Shape:
        column, operator, value = where.column, where.operator, where.value
        if operator == "is_null":
            return ("is_null", column, value)
        kind, encode = self._operands.get((operator, column)) or self._operand(operator, column)
        if operator == "in":
            # The list is one parameter, so that lists of all lengths share a shape.
            values.append(self._dialect.bound_list(list(map(encode, value)) if encode else list(value)))
            return ("in", column)
        values.append(encode(value) if encode else value)
        return (self._dialect.variant(operator, kind, value), column)

    def _operand(self, operator: str, column: str) -> tuple[Kind, Callable[[Any], Any] | None]:
        """The kind of a column, and what encodes the right-hand side of such a condition."""
        kind = self._schema.columns[column].kind
        encode = self._dialect.operands.get((operator, kind)) or self._dialect.encoder(kind)
        found = self._operands[operator, column] = kind, encode
        return found

    def sort_key(self, key: Order) -> Expression:
        """A sort key, with its direction and the place of nulls."""
        column = self._comparable(key.column)
        directed = column.desc() if key.descending else column.asc()
        if not self._schema.columns[key.column].nullable:
            return directed
        return directed.nulls_first() if key.nulls_first else directed.nulls_last()

    def _comparable(self, name: str) -> Expression:
        """The column, with the collation for comparison by code point if it is not declared with it."""
        column = self._schema.columns[name]
        collation = self._dialect.explicit_collation
        source = self._source.c[name]
        # A uuid has no collation and sorts like its text.
        if column.kind is not TEXT or collation is None or isinstance(source.type, sa.Uuid):
            return source
        if self._dialect.has_enums and is_native_enum(source.type):
            return sa.collate(sa.cast(source, sa.Text()), collation)
        declared = source.type.dialect_impl(self._dialect.compiler)
        return source if getattr(declared, "collation", None) == collation else sa.collate(source, collation)

    def compiled(self, shape: Shape | None, params: Params) -> Expression:
        """A shape as an expression of SQLAlchemy. Values: those that :meth:`shape` has appended."""
        if shape is None:
            return sa.true()
        operator, *rest = shape
        if operator in {"and", "or"}:
            parts = [self.compiled(part, params) for part in rest]
            if not parts:
                return _TRUE if operator == "and" else _FALSE
            return sa.and_(*parts) if operator == "and" else sa.or_(*parts)
        if operator == "not":
            return sa.not_(self.compiled(rest[0], params).self_group())
        return self._comparison(operator, rest[0], rest[1:], params)

    def _comparison(self, operator: str, name: str, extra: Sequence[Any], params: Params) -> Expression:
        source = self._source.c[name]
        if operator == "is_null":
            return source.is_(None) if extra[0] else source.is_not(None)
        if operator == "in":
            return self._dialect.member(source, params.next)
        kind = self._schema.columns[name].kind
        build = self._dialect.operators.get((operator, Arrays if isinstance(kind, Arrays) else kind))
        if build is not None:
            return build(source, params.next())
        column = source if operator in {"eq", "neq"} else self._comparable(name)
        return _PLAIN[operator](column, params.next(column.type))
