"""Check constraints about decimals, which SQLite stores as scaled integers: they are written about these integers.

``CHECK (price >= 0.50)`` of a ``Numeric(10, 2)`` becomes ``CHECK (price >= 50)``, so that it means what it means on
other databases.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from database.backends.memory.constraints import condition_filter
from database.backends.sqlite.dialect import DIALECT
from database.core.errors import InvalidQuery
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Where
from database.core.tables.schema import TableSchema
from database.core.tables.schema import table_schema

_SIGNS = {"eq": "=", "neq": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@compiles(sa.CheckConstraint, "sqlite")
def _written(constraint: sa.CheckConstraint, compiler: Any, **options: Any) -> str:
    scaled = _scaled(constraint)
    if scaled is None:
        return str(compiler.visit_check_constraint(constraint, **options))
    where = condition_filter(scaled, constraint.sqltext)
    text = None if where is None else _sql(scaled, where)
    if text is None:
        raise InvalidQuery(
            f"the check constraint {constraint.name} of table {scaled.name!r} cannot be kept on SQLite, which stores"
            " Numeric columns as scaled integers; compare them with numbers only"
        )
    stated = sa.CheckConstraint(sa.text(text.replace(":", "\\:")), name=constraint.name)
    return str(compiler.visit_check_constraint(stated, **options))


def _scaled(constraint: sa.CheckConstraint) -> TableSchema | None:
    """The table of a constraint that names a scaled column; None for all other constraints."""
    parent = getattr(constraint, "parent", None)
    table = parent.table if isinstance(parent, sa.Column) else parent
    if constraint._type_bound or not isinstance(table, sa.Table) or not table.primary_key.columns:
        return None
    text = str(constraint.sqltext)
    named = [column for column in table.columns if re.search(rf"(?<!\w){re.escape(column.name)}(?!\w)", text)]
    if not any(isinstance(column.type, sa.Numeric | sa.ARRAY) for column in named):
        return None
    schema = table_schema(table)
    return schema if any(schema.columns[column.name].kind.scaled for column in named) else None


def _sql(table: TableSchema, where: Filter) -> str | None:
    """A condition on stored values; None for one that is not written here."""
    match where:
        case And(parts):
            return _joined(table, parts, " and ", "1")
        case Or(parts):
            return _joined(table, parts, " or ", "0")
        case Not(part):
            inner = _sql(table, part)
            return None if inner is None else f"not ({inner})"
        case Where(column, "is_null", wanted):
            return f"{_quoted(column)} is {'' if wanted else 'not '}null"
        case Where(column, "in", values):
            literals = [_stored(table, column, value) for value in values]
            return None if None in literals else f"{_quoted(column)} in ({', '.join(map(str, literals))})"
        case Where(column, operator, value) if operator in _SIGNS:
            literal = _stored(table, column, value)
            return None if literal is None else f"{_quoted(column)} {_SIGNS[operator]} {literal}"
    return None


def _joined(table: TableSchema, parts: Iterable[Filter], word: str, empty: str) -> str | None:
    texts = [_sql(table, part) for part in parts]
    return None if None in texts else word.join(f"({text})" for text in texts) or empty


def _stored(table: TableSchema, column: str, value: Any) -> str | None:
    encode = DIALECT.encoder(table.columns[column].kind)
    stored = value if encode is None else encode(value)
    if isinstance(stored, bool | int | float):
        return repr(int(stored) if isinstance(stored, bool) else stored)
    return "'" + stored.replace("'", "''") + "'" if isinstance(stored, str) else None


def _quoted(name: str) -> str:
    return DIALECT.compiler.identifier_preparer.quote(name)
