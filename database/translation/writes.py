"""Translates INSERT, UPDATE and DELETE to operations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlglot import exp

from database.core.errors import InvalidQuery
from database.core.operations import Delete
from database.core.operations import Insert
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Filter
from database.core.query.filters import Where
from database.core.query.validation import checked_columns
from database.core.tables.schema import MANAGED
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.translation.conditions import Scope
from database.translation.conditions import bound
from database.translation.conditions import condition
from database.translation.literals import Bindings
from database.translation.literals import Term
from database.translation.literals import column_value
from database.translation.literals import term_of
from database.translation.plan import Plan
from database.translation.plan import Translation
from database.translation.plan import changed
from database.translation.select_list import CountOutput
from database.translation.select_list import Known
from database.translation.select_list import Output
from database.translation.select_list import columns_of
from database.translation.select_list import expanded
from database.translation.select_list import outputs_of
from database.translation.syntax import name_of
from database.translation.syntax import refused
from database.translation.syntax import refused_node
from database.translation.syntax import require
from database.translation.syntax import table_of

_INSERT_FLAGS = ("this", "expression", "conflict", "returning")


@dataclass(frozen=True, slots=True)
class InsertPlan(Plan):
    """INSERT.

    :ivar columns: None for the table's columns in declared order.
    :ivar rows: a term for each column; None for DEFAULT.
    :ivar replaced: the columns that ON CONFLICT DO UPDATE sets; None if a conflict is an error.
    :ivar by: the columns of ON CONFLICT, which must be the table's key.
    """

    table: str
    columns: tuple[str, ...] | None
    rows: tuple[tuple[Term | None, ...], ...]
    replaced: frozenset[str] | None
    returning: tuple[Output, ...] | None
    by: tuple[str, ...] = ()

    def bound(self, schema: Schema, bindings: Bindings) -> Translation:
        table = schema.table(self.table)
        columns = self._columns(table)
        outputs = _returned(self.returning, table)
        rows = [self._row(table, columns, terms, bindings) for terms in self.rows]
        if self.replaced is not None:
            if sorted(self.by) != sorted(table.key):
                raise refused(f"ON CONFLICT of anything but ({', '.join(table.key)})")
            _require_whole(table, self.replaced, columns)
        returning = outputs is not None
        on_conflict = () if self.by == ("id",) else self.by
        return Translation(
            Insert(table.name, rows, returning=returning)
            if self.replaced is None
            else Upsert(table.name, rows, returning=returning, on_conflict=on_conflict),
            partial(changed, returning=outputs, bindings=bindings),
        )

    def _columns(self, table: TableSchema) -> tuple[str, ...]:
        width = len(self.rows[0])
        columns = tuple(table.columns)[:width] if self.columns is None else self.columns
        if len(set(columns)) < len(columns):
            raise InvalidQuery("an INSERT must name each column once")
        if any(len(terms) != len(columns) for terms in self.rows):
            raise InvalidQuery("each row of an INSERT must have one value for each column")
        return columns

    @staticmethod
    def _row(
        table: TableSchema, columns: tuple[str, ...], terms: tuple[Term | None, ...], bindings: Bindings
    ) -> dict[str, Any]:
        return {
            name: column_value(table, name, term.value(bindings))
            for name, term in zip(columns, terms, strict=True)
            if term is not None
        }


@dataclass(frozen=True, slots=True)
class UpdatePlan(Plan):
    """UPDATE."""

    table: str
    values: tuple[tuple[str, Term], ...]
    where: Filter | None
    returning: tuple[Output, ...] | None

    def bound(self, schema: Schema, bindings: Bindings) -> Translation:
        table = schema.table(self.table)
        outputs = _returned(self.returning, table)
        values = {name: column_value(table, name, term.value(bindings)) for name, term in self.values}
        where = _every_row(table) if self.where is None else bound(self.where, table, bindings)
        return Translation(
            Update(table.name, values, where=where, returning=outputs is not None),
            partial(changed, returning=outputs, bindings=bindings),
        )


@dataclass(frozen=True, slots=True)
class DeletePlan(Plan):
    """DELETE."""

    table: str
    where: Filter | None
    returning: tuple[Output, ...] | None

    def bound(self, schema: Schema, bindings: Bindings) -> Translation:
        table = schema.table(self.table)
        outputs = _returned(self.returning, table)
        where = _every_row(table) if self.where is None else bound(self.where, table, bindings)
        return Translation(
            Delete(table.name, where=where, returning=outputs is not None),
            partial(changed, returning=outputs, bindings=bindings),
        )


def insert_plan(node: exp.Insert) -> Plan:
    """The plan of an INSERT. :raises Unsupported: names what cannot be translated."""
    require(node, *_INSERT_FLAGS)
    target, columns = node.this, None
    if isinstance(target, exp.Schema):
        require(target, "this", "expressions")
        columns = tuple([name_of(part) for part in target.expressions])
        target = target.this
    table, qualifier = table_of(target)
    rows = _rows(node.expression)
    by, replaced = _replaced(node.args.get("conflict"))
    if replaced is not None and any(None in terms for terms in rows):
        raise refused("DEFAULT with ON CONFLICT")
    return InsertPlan(table, columns, rows, replaced, _returning(node, Scope(qualifier)), by)


def update_plan(node: exp.Update) -> Plan:
    """The plan of an UPDATE. :raises Unsupported: names what cannot be translated."""
    require(node, "this", "expressions", "where", "returning")
    table, qualifier = table_of(node.this)
    scope = Scope(qualifier)
    values = tuple([(name, term_of(value)) for name, value in _assignments(node.expressions)])
    return UpdatePlan(table, values, _where(node, scope), _returning(node, scope))


def delete_plan(node: exp.Delete) -> Plan:
    """The plan of a DELETE. :raises Unsupported: names what cannot be translated."""
    require(node, "this", "where", "returning")
    table, qualifier = table_of(node.this)
    scope = Scope(qualifier)
    return DeletePlan(table, _where(node, scope), _returning(node, scope))


def _where(node: exp.Expr, scope: Scope) -> Filter | None:
    where = node.args.get("where")
    return None if where is None else condition(where.this, scope)


def _returning(node: exp.Expr, scope: Scope) -> tuple[Output, ...] | None:
    clause = node.args.get("returning")
    if clause is None:
        return None
    require(clause, "expressions")
    outputs = outputs_of(clause.expressions, scope)
    if any(isinstance(output, CountOutput) for output in outputs):
        raise InvalidQuery("RETURNING must name columns, not a count")
    return outputs


def _returned(outputs: tuple[Output, ...] | None, table: TableSchema) -> tuple[Known, ...] | None:
    """The outputs of RETURNING, validated before the write."""
    if outputs is None:
        return None
    known = expanded(outputs, table)
    columns = columns_of(known)
    if columns:
        checked_columns(table, columns)
    return known


def _assignments(nodes: Iterable[exp.Expr]) -> list[tuple[str, exp.Expr]]:
    """The columns of SET, each once, with their new values."""
    assignments = []
    for node in nodes:
        if not isinstance(node, exp.EQ) or not isinstance(node.this, exp.Column):
            raise refused("SET of several columns at once")
        require(node.this, "this")
        assignments.append((name_of(node.this.this), node.expression))
    if len(dict(assignments)) < len(assignments):
        raise InvalidQuery("SET must name each column once")
    return assignments


def _rows(node: exp.Expr | None) -> tuple[tuple[Term | None, ...], ...]:
    if not isinstance(node, exp.Values):
        raise refused("INSERT without VALUES") if node is None else refused_node(node)
    require(node, "expressions")
    return tuple([tuple([_inserted(part) for part in row.expressions]) for row in node.expressions])


def _inserted(node: exp.Expr) -> Term | None:
    """The term of a value to insert; None for DEFAULT."""
    is_default = isinstance(node, exp.Var) and node.name.upper() == "DEFAULT"
    return None if is_default else term_of(node)


def _every_row(table: TableSchema) -> Filter:
    return Where(table.key[0], "is_null", False)


def _replaced(clause: exp.Expr | None) -> tuple[tuple[str, ...], frozenset[str] | None]:
    """The columns of ON CONFLICT, and those that DO UPDATE sets to the values of EXCLUDED; None without the clause."""
    if clause is None:
        return (), None
    if clause.args["action"].name.upper() != "DO UPDATE":
        raise refused("ON CONFLICT DO NOTHING")
    require(clause, "action", "conflict_keys", "expressions")
    scope = Scope("excluded")
    by = tuple([scope.column(key.this) for key in clause.args.get("conflict_keys") or ()])
    assignments = _assignments(clause.expressions)
    return by, frozenset([name for name, value in assignments if _is_excluded(name, value, scope)])


def _is_excluded(name: str, value: exp.Expr, scope: Scope) -> bool:
    """Whether SET assigns the value of EXCLUDED; False for the current time. An upsert supports nothing else.

    :raises Unsupported: for other values, and for columns that an upsert does not change.
    """
    if name == "updated_at" and isinstance(value, exp.CurrentTimestamp):
        require(value)
        return False
    if name in MANAGED - {"updated_at"}:
        raise refused(f"ON CONFLICT with SET {name}")
    if not isinstance(value, exp.Column) or not value.table or scope.column(value) != name:
        raise refused(f"ON CONFLICT with SET {name[:64]} to anything but excluded.{name[:64]}")
    return True


def _require_whole(table: TableSchema, replaced: frozenset[str], columns: tuple[str, ...]) -> None:
    """Refuse SET of other columns than those of the INSERT: an upsert always writes all given columns."""
    untouched = {"updated_at"} & table.managed & set(columns) - replaced
    kept = set(table.key)
    if untouched or replaced - kept - {"updated_at"} != set(columns) - kept - table.managed:
        raise refused("ON CONFLICT with SET of other columns than those of the INSERT")
