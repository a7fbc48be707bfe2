"""Translates SELECT to an operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from sqlglot import exp

from database.core.errors import InvalidQuery
from database.core.kinds.values import INTEGER
from database.core.operations import Get
from database.core.operations import Ping
from database.core.operations import Select
from database.core.query.filters import Filter
from database.core.query.filters import Nulls
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.validation import checked_range
from database.core.result import Result
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.sql.texts.answers import require_distinct
from database.translation.conditions import Scope
from database.translation.conditions import bound
from database.translation.conditions import condition
from database.translation.literals import Bindings
from database.translation.literals import Term
from database.translation.literals import read
from database.translation.literals import term_of
from database.translation.plan import Plan
from database.translation.plan import Translation
from database.translation.plan import answered
from database.translation.select_list import AllColumns
from database.translation.select_list import ColumnOutput
from database.translation.select_list import CountOutput
from database.translation.select_list import Known
from database.translation.select_list import Output
from database.translation.select_list import ValueOutput
from database.translation.select_list import columns_of
from database.translation.select_list import constants
from database.translation.select_list import expanded
from database.translation.select_list import outputs_of
from database.translation.select_list import plain
from database.translation.select_list import projected
from database.translation.syntax import refused
from database.translation.syntax import refused_node
from database.translation.syntax import require
from database.translation.syntax import table_of
from database.translation.syntax import unwrapped


@dataclass(frozen=True, slots=True)
class OrderingKey:
    """An item of ORDER BY or GROUP BY.

    :ivar target: a name, or the number of an output, counted from 1.
    :ivar qualified: whether the name certainly is a column's, even if an output has the same name.
    """

    target: str | int
    qualified: bool = False
    descending: bool = False
    nulls: Nulls | None = None

    def column(self, outputs: Sequence[Known]) -> str | None:
        """The column that the key refers to; None for a constant."""
        if isinstance(self.target, int):
            if not 1 <= self.target <= len(outputs):
                raise InvalidQuery(f"ORDER BY and GROUP BY: the statement has no output {self.target}")
            found = {_sorted_by(outputs[self.target - 1])}
        else:
            found = set() if self.qualified else {_sorted_by(each) for each in outputs if each.name == self.target}
            found = found or {self.target}
        if len(found) > 1:
            raise InvalidQuery(f"ORDER BY and GROUP BY: {self.target!r} is ambiguous, several outputs have that name")
        return found.pop()


@dataclass(frozen=True, slots=True)
class ValuesPlan(Plan):
    """SELECT without a table: constants, returned if the backend responds to a ping."""

    outputs: tuple[Output, ...]

    def bound(self, schema: Schema, bindings: Bindings) -> Translation:
        outputs = [output for output in self.outputs if isinstance(output, ValueOutput)]
        if len(outputs) < len(self.outputs):
            raise InvalidQuery("a SELECT of columns needs a table; add FROM")
        require_distinct([output.name for output in outputs])
        values = constants(outputs, bindings)
        return Translation(Ping(), lambda result: answered(result, [values]))


@dataclass(frozen=True, slots=True)
class SelectPlan(Plan):
    """SELECT from a table."""

    table: str
    outputs: tuple[Output, ...]
    where: Filter | None
    order: tuple[OrderingKey, ...]
    limit: Term | None
    offset: Term | None
    group: tuple[OrderingKey, ...]
    distinct: bool

    def bound(self, schema: Schema, bindings: Bindings) -> Translation:
        table = schema.table(self.table)
        outputs = expanded(self.outputs, table)
        where = None if self.where is None else bound(self.where, table, bindings)
        counting = any(isinstance(output, CountOutput) for output in outputs)
        if counting and not self.group:
            return self._total(table, outputs, where, bindings)
        columns = columns_of(outputs)
        group = self._groups(table, outputs, columns)
        operation = Select(
            table.name,
            (columns or None) if group else (columns or table.key),
            where,
            self._order(outputs),
            _range("limit", self.limit, bindings),
            _range("offset", self.offset, bindings),
            group=group,
        )
        if plain(outputs, columns) and not group:
            return Translation(_simplified(table, operation), _rows)
        return Translation(_simplified(table, operation), partial(_projection, outputs, bindings))

    def _groups(self, table: TableSchema, outputs: Sequence[Known], columns: tuple[str, ...]) -> tuple[str, ...]:
        if self.group:
            return tuple(dict.fromkeys([_grouped(key, outputs) for key in self.group]))
        # Rows with their keys are distinct already.
        return columns if self.distinct and not set(columns) >= set(table.key) else ()

    def _order(self, outputs: Sequence[Known]) -> tuple[Order, ...]:
        columns = [(key, key.column(outputs)) for key in self.order]
        return tuple([Order(column, key.descending, key.nulls) for key, column in columns if column is not None])

    def _total(
        self, table: TableSchema, outputs: Sequence[Known], where: Filter | None, bindings: Bindings
    ) -> Translation:
        """A count without GROUP BY: one row with the number of matching rows."""
        if columns_of(outputs) or self.order:
            raise InvalidQuery("a count without GROUP BY cannot be combined with columns or ORDER BY")
        limit, offset = _range("limit", self.limit, bindings), _range("offset", self.offset, bindings)
        empty = limit == 0 or bool(offset)

        def answer(result: Result) -> Result:
            rows = [] if empty else projected([{"count": result.count}], outputs, bindings)
            return answered(result, rows)

        return Translation(Select(table.name, table.key, where, limit=0, count=True), answer)


def select_plan(node: exp.Select) -> Plan:
    """The plan of a SELECT. :raises Unsupported: names what cannot be translated."""
    require(node, "expressions", "from_", "where", "order", "limit", "offset", "group", "distinct")
    source = node.args.get("from_")
    if source is None:
        require(node, "expressions")
        return ValuesPlan(outputs_of(node.expressions, Scope("")))
    require(source, "this")
    table, qualifier = table_of(source.this)
    scope = Scope(qualifier)
    where, distinct = node.args.get("where"), node.args.get("distinct")
    if distinct is not None:
        require(distinct)
    plan = SelectPlan(
        table,
        outputs_of(node.expressions, scope),
        None if where is None else condition(where.this, scope),
        tuple([_sort_key(part, scope) for part in _parts(node, "order")]),
        _bound_of(node.args.get("limit")),
        _bound_of(node.args.get("offset")),
        tuple([_key(part, scope) for part in _parts(node, "group")]),
        distinct is not None,
    )
    _check_groups(plan)
    return plan


def _check_groups(plan: SelectPlan) -> None:
    if plan.distinct and plan.group:
        raise refused("DISTINCT with GROUP BY")
    only_values = all(isinstance(output, ValueOutput) for output in plan.outputs)
    if plan.distinct and only_values:
        raise refused("DISTINCT without a column")
    if plan.group and any(isinstance(output, AllColumns) for output in plan.outputs):
        raise InvalidQuery("SELECT * cannot be combined with GROUP BY; name the columns of GROUP BY")


def _grouped(key: OrderingKey, outputs: Sequence[Known]) -> str:
    """The column to group by: in GROUP BY a name is always a column's, and a number that of an output."""
    column = key.column(outputs if isinstance(key.target, int) else ())
    if column is None:
        raise refused("GROUP BY a constant")
    return column


def _rows(result: Result) -> Result:
    return answered(result, result.rows)


def _projection(outputs: Sequence[Known], bindings: Bindings, result: Result) -> Result:
    return answered(result, projected(result.rows, outputs, bindings))


def _simplified(table: TableSchema, select: Select) -> Select | Get:
    """Convert a query by key to a ``Get``, which is faster."""
    where = select.where
    if not isinstance(where, Where) or (where.column,) != table.key or where.operator != "eq":
        return select
    if select.order or select.group or select.limit == 0 or select.offset:
        return select
    return Get(select.table, where.value, select.columns)


def _parts(node: exp.Select, name: str) -> list[exp.Expr]:
    clause = node.args.get(name)
    if clause is None:
        return []
    require(clause, "expressions")
    return list(clause.expressions)


def _sort_key(node: exp.Expr, scope: Scope) -> OrderingKey:
    if not isinstance(node, exp.Ordered):
        raise refused_node(node)
    require(node, "this", "desc", "nulls_first")
    key = _key(node.this, scope)
    nulls: Nulls = "first" if node.args.get("nulls_first") else "last"
    return OrderingKey(key.target, key.qualified, bool(node.args.get("desc")), nulls)


def _key(node: exp.Expr, scope: Scope) -> OrderingKey:
    node = unwrapped(node)
    if isinstance(node, exp.Literal) and node.is_int:
        return OrderingKey(int(node.name))
    return OrderingKey(scope.column(node), qualified=node.args.get("table") is not None)


def _sorted_by(output: Known) -> str | None:
    if isinstance(output, CountOutput):
        raise refused("ORDER BY or GROUP BY a count")
    return output.column if isinstance(output, ColumnOutput) else None


def _bound_of(clause: exp.Expr | None) -> Term | None:
    """The term of a LIMIT or OFFSET; None for no limit."""
    if clause is None:
        return None
    if not isinstance(clause, exp.Limit | exp.Offset):
        raise refused(type(clause).__name__.upper())
    require(clause, "expression")
    if isinstance(clause.expression, exp.Var) and clause.expression.name.upper() == "ALL":
        return None
    return term_of(clause.expression)


def _range(name: str, term: Term | None, bindings: Bindings) -> int | None:
    return None if term is None else checked_range(name, read(INTEGER, term.value(bindings)))
