"""Translates WHERE to a filter: first the syntax tree to a filter of terms, then the terms to each call's values.

A filter has no null operands. In SQL, a comparison with null is unknown and selects no row, not even under NOT. So it
becomes false, or true if it is below an odd number of NOTs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import NamedTuple

from sqlglot import exp

from database.core.errors import InvalidQuery
from database.core.kinds.arrays import Arrays
from database.core.kinds.values import JSON
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Operator
from database.core.query.filters import Or
from database.core.query.filters import Where
from database.core.tables.schema import TableSchema
from database.translation.literals import Bindings
from database.translation.literals import Constant
from database.translation.literals import Term
from database.translation.literals import column_value
from database.translation.literals import term_of
from database.translation.syntax import name_of
from database.translation.syntax import refused
from database.translation.syntax import refused_node
from database.translation.syntax import require
from database.translation.syntax import unwrapped

_TRUE = And(())
_FALSE = Or(())

_COMPARISONS: dict[type[exp.Expr], tuple[Operator, Operator]] = {
    exp.EQ: ("eq", "eq"),
    exp.NEQ: ("neq", "neq"),
    exp.GT: ("gt", "lt"),
    exp.GTE: ("gte", "lte"),
    exp.LT: ("lt", "gt"),
    exp.LTE: ("lte", "gte"),
}
"""The operator with the column on the left, and with the column on the right."""


@dataclass(frozen=True, slots=True)
class Same(Filter):
    """``IS NOT DISTINCT FROM``: equality that treats null as a value and is never unknown."""

    column: str
    term: Term


@dataclass(frozen=True, slots=True)
class NullTest(Filter):
    """``IS NULL`` of a placeholder: true or false for all rows alike, and never unknown."""

    term: Term
    wanted: bool


class Scope(NamedTuple):
    """The only table of a statement, by the qualifier of its columns."""

    qualifier: str

    def column(self, node: exp.Expr) -> str:
        """The name of a column. :raises InvalidQuery: for a qualifier of another table."""
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            raise refused_node(node)
        require(node, "this", "table")
        self.check(node)
        return name_of(node.this)

    def check(self, node: exp.Column) -> None:
        """Refuse a qualifier of another table."""
        table = node.args.get("table")
        if table is not None and name_of(table) != self.qualifier:
            raise InvalidQuery(f"{name_of(table)[:64]!r} is not the table of this statement")


def condition(node: exp.Expr, scope: Scope) -> Filter:
    """Translate a condition to a filter of terms. :raises Unsupported: names what cannot be translated."""
    node = unwrapped(node)
    if type(node) in _COMPARISONS:
        return _comparison(node, scope)
    translated = _CONDITIONS.get(type(node))
    if translated is None:
        raise refused_node(node)
    return translated(node, scope)


def bound(where: Filter, table: TableSchema, bindings: Bindings, *, positive: bool = True) -> Filter:
    """Replace the terms of a filter by their values.

    :param positive: whether the filter is below an even number of NOTs.
    :raises InvalidQuery: for unknown columns, and for invalid JSON.
    """
    if isinstance(where, Where):
        return _bound_condition(where, table, bindings, positive)
    if isinstance(where, Not):
        return Not(bound(where.part, table, bindings, positive=not positive))
    if isinstance(where, And | Or):
        return type(where)(tuple([bound(part, table, bindings, positive=positive) for part in where.parts]))
    if isinstance(where, Same):
        return _bound_same(where, table, bindings)
    if isinstance(where, NullTest):
        return _TRUE if (where.term.value(bindings) is None) is where.wanted else _FALSE
    raise TypeError(where)


def _bound_condition(where: Where, table: TableSchema, bindings: Bindings, positive: bool) -> Filter:
    column, operator = where.column, where.operator
    if operator == "is_null":
        return where
    if operator == "in":
        return _bound_in(where, table, bindings, positive)
    value = where.value.value(bindings)
    if operator == "contains" and not (table.column(column).kind is JSON or _is_array(table, column)):
        raise InvalidQuery(f"column {column!r} is not JSON and no array; @> and <@ need a column that is")
    if value is None:
        table.column(column)
        return _unknown(positive)
    return Where(column, operator, column_value(table, column, value))


def _is_array(table: TableSchema, column: str) -> bool:
    return isinstance(table.column(column).kind, Arrays)


def _bound_in(where: Where, table: TableSchema, bindings: Bindings, positive: bool) -> Filter:
    values = [term.value(bindings) for term in where.value]
    known = tuple([column_value(table, where.column, value) for value in values if value is not None])
    if len(known) < len(values) and not positive:
        # With a null in the list, NOT IN is false or unknown for every row.
        table.column(where.column)
        return _unknown(positive)
    return Where(where.column, "in", known)


def _bound_same(where: Same, table: TableSchema, bindings: Bindings) -> Filter:
    value = where.term.value(bindings)
    if value is None:
        return Where(where.column, "is_null", True)
    equal = Where(where.column, "eq", column_value(table, where.column, value))
    return And((Where(where.column, "is_null", False), equal))


def _unknown(positive: bool) -> Filter:
    return _FALSE if positive else _TRUE


def _comparison(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "expression")
    left, right = unwrapped(node.this), unwrapped(node.expression)
    usual, turned = _COMPARISONS[type(node)]
    if isinstance(left, exp.Column) and isinstance(right, exp.Column):
        raise refused("a comparison of two columns")
    if isinstance(right, exp.Column):
        return Where(scope.column(right), turned, term_of(left))
    return Where(_compared(left, scope), usual, term_of(right))


def _compared(node: exp.Expr, scope: Scope) -> str:
    """The column of a condition."""
    node = unwrapped(node)
    if isinstance(node, exp.Literal | exp.Placeholder | exp.Boolean | exp.Null):
        raise refused("a condition without a column")
    return scope.column(node)


def _both(node: exp.Expr, scope: Scope) -> Filter:
    return And(tuple([condition(part, scope) for part in node.flatten()]))


def _either(node: exp.Expr, scope: Scope) -> Filter:
    return Or(tuple([condition(part, scope) for part in node.flatten()]))


def _negation(node: exp.Expr, scope: Scope) -> Filter:
    return Not(condition(node.this, scope))


def _is(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "expression", "negate")
    tested, wanted = unwrapped(node.this), node.expression
    if isinstance(tested, exp.Placeholder) and isinstance(wanted, exp.Null):
        return NullTest(term_of(tested), not node.args.get("negate"))
    column = _compared(tested, scope)
    found: Filter
    if isinstance(wanted, exp.Null):
        return Where(column, "is_null", not node.args.get("negate"))
    if not isinstance(wanted, exp.Boolean):
        raise refused_node(wanted)
    found = Same(column, Constant(bool(wanted.this)))
    return Not(found) if node.args.get("negate") else found


def _same(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "expression")
    return Same(_compared(node.this, scope), term_of(node.expression))


def _in(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "expressions")
    return Where(_compared(node.this, scope), "in", tuple([term_of(part) for part in node.expressions]))


def _between(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "low", "high")
    column = _compared(node.this, scope)
    low, high = (term_of(node.args[part]) for part in ("low", "high"))
    return And((Where(column, "gte", low), Where(column, "lte", high)))


def _like(operator: Operator) -> Callable[[Any, Scope], Filter]:
    def translated(node: exp.Expr, scope: Scope) -> Filter:
        require(node, "this", "expression", "negate")
        found = Where(_compared(node.this, scope), operator, term_of(node.expression))
        return Not(found) if node.args.get("negate") else found

    return translated


def _escape(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "expression")
    if node.expression.name != "\\":
        raise refused("ESCAPE with another character than the backslash")
    return condition(node.this, scope)


def _contains(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "expression")
    return _containment(node.this, node.expression, scope)


def _contained(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "expression")
    return _containment(node.expression, node.this, scope)


def _containment(whole: exp.Expr, part: exp.Expr, scope: Scope) -> Filter:
    if isinstance(unwrapped(part), exp.Column) and not isinstance(unwrapped(whole), exp.Column):
        return Where(scope.column(unwrapped(part)), "contained_by", term_of(whole))
    return Where(_compared(whole, scope), "contains", term_of(part))


def _overlap(node: exp.Expr, scope: Scope) -> Filter:
    require(node, "this", "expression")
    return Where(_compared(node.this, scope), "overlaps", term_of(node.expression))


_CONDITIONS: dict[type[exp.Expr], Callable[[Any, Scope], Filter]] = {
    exp.And: _both,
    exp.Or: _either,
    exp.Not: _negation,
    exp.Is: _is,
    exp.NullSafeEQ: _same,
    exp.NullSafeNEQ: lambda node, scope: Not(_same(node, scope)),
    exp.In: _in,
    exp.Between: _between,
    exp.Like: _like("like"),
    exp.ILike: _like("ilike"),
    exp.Escape: _escape,
    exp.ArrayContainsAll: _contains,
    exp.ArrayContainedBy: _contained,
    exp.ArrayOverlaps: _overlap,
    exp.Boolean: lambda node, _: _TRUE if node.this else _FALSE,
    exp.Column: lambda node, scope: Where(scope.column(node), "eq", Constant(True)),
}
