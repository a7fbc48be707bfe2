"""The constraints of a declared table in Python: which are kept as in SQL, and which cannot be.

Memory keeps them for all rows. A transaction on Convex or over HTTP checks the rows that it writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from database import translation
from database.core.errors import DataError
from database.core.kinds.values import JSON
from database.core.operations import Select
from database.core.operations import Sql
from database.core.query.evaluation import Evaluator
from database.core.query.evaluation import evaluator
from database.core.query.filters import Filter
from database.core.query.filters import conditions
from database.core.query.steps import Steps
from database.core.query.validation import checked_filter
from database.core.result import Row
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.uniqueness import condition_of
from database.core.tables.uniqueness import has_expressions
from database.core.tables.uniqueness import unique_sets

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]


class Unique(NamedTuple):
    """Columns that no two rows have in common.

    :ivar where: the rows that it is about; None for all.
    """

    columns: tuple[str, ...]
    where: Evaluator | None = None


class Constraints(NamedTuple):
    """What is kept of a table's constraints.

    :ivar checks: by name, the conditions that must not be false.
    :ivar unkept: what is not, in words.
    """

    checks: tuple[tuple[str, Evaluator], ...]
    unique: tuple[Unique, ...]
    unkept: tuple[str, ...]


class Reference(NamedTuple):
    """A foreign key.

    :ivar table: the table whose ``columns`` refer to ``others`` of the table ``other``.
    :ivar action: what becomes of its row when the other record is deleted: ``CASCADE``, ``SET NULL``, or nothing.
    """

    table: TableSchema
    columns: tuple[str, ...]
    other: str
    others: tuple[str, ...]
    action: str

    @property
    def name(self) -> str:
        """Its name in errors."""
        return f"{self.table.name}.{','.join(self.columns)}"

    def to(self, row: Row) -> tuple[Any, ...] | None:
        """What a row of ``table`` refers to; None if to nothing."""
        values = tuple([row[name] for name in self.columns])
        return None if None in values else values


_known: WeakKeyDictionary[sa.Table, Constraints] = WeakKeyDictionary()


def constraints_of(schema: TableSchema) -> Constraints:
    """The constraints of a table, read once."""
    known = _known.get(schema.source)
    if known is None:
        known = _known[schema.source] = _read(schema)
    return known


def unkept(schema: Schema) -> list[str]:
    """The declared constraints that cannot be kept outside of SQL databases, a line each."""
    return [f"{table.name}: {what}" for table in schema for what in constraints_of(table).unkept]


def references(table: TableSchema) -> list[Reference]:
    """The foreign keys of a table, by their columns."""
    found = [
        Reference(
            table,
            tuple(str(element.parent.name) for element in key.elements),
            str(key.referred_table.name),
            tuple(str(element.column.name) for element in key.elements),
            (key.ondelete or "").upper(),
        )
        for key in table.source.foreign_key_constraints
    ]
    return sorted(found, key=lambda one: one.columns)


def referrers(schema: Schema, table: str) -> list[Reference]:
    """The foreign keys that refer to a table's records."""
    return [one for other in schema for one in references(other) if one.other == table]


def checks_of(table: sa.Table) -> list[sa.CheckConstraint]:
    """The check constraints of a table, but for those that belong to a type, by name."""
    declared = {one: None for holder in (table, *table.columns) for one in holder.constraints}
    checks = [one for one in declared if isinstance(one, sa.CheckConstraint) and not one._type_bound]
    return sorted(checks, key=lambda check: str(check.name))


def plain_unique(table: sa.Table) -> Iterator[tuple[str, ...]]:
    """The sets of columns, besides the key, that are declared unique in all rows."""
    deferred = (one for one in table.constraints if isinstance(one, sa.UniqueConstraint) and one.deferrable)
    yield from (tuple(str(column.name) for column in constraint.columns) for constraint in deferred)
    key = tuple(str(column.name) for column in table.primary_key.columns)
    yield from (names for names in unique_sets(table) if names != key)


def _read(schema: TableSchema) -> Constraints:
    checks: list[tuple[str, Evaluator]] = []
    unique = [Unique(columns) for columns in plain_unique(schema.source)]
    unkept: list[str] = []
    for check in checks_of(schema.source):
        rule = _evaluator(schema, check.sqltext)
        name = str(check.name or check.sqltext)
        if rule is None:
            unkept.append(f"CHECK {name}")
        else:
            checks.append((name, rule))
    for index in sorted(schema.source.indexes, key=lambda index: str(index.name)):
        if index.unique and has_expressions(index):
            unkept.append(f"unique index {index.name}, which is on an expression")
        elif index.unique and (condition := condition_of(index)) is not None:
            rule = _evaluator(schema, condition)
            if rule is None:
                unkept.append(f"unique index {index.name}, which is on some rows only")
            else:
                unique.append(Unique(tuple(str(column.name) for column in index.columns), rule))
    return Constraints(tuple(checks), tuple(unique), (*unkept, *_other_references(schema.source)))


def _other_references(table: sa.Table) -> Iterable[str]:
    for key in sorted(table.foreign_keys, key=lambda key: str(key.parent.name)):
        if (key.ondelete or "").upper() == "SET DEFAULT":
            yield f"ON DELETE SET DEFAULT of {key.parent.name}, which refuses the deletion"
        if key.initially is not None and key.initially.upper() == "DEFERRED":
            yield f"INITIALLY DEFERRED of {key.parent.name}, which is checked at once"


def _evaluator(schema: TableSchema, condition: Any) -> Evaluator | None:
    """A SQL condition on a row of the table in Python; None if that is not possible."""
    where = condition_filter(schema, condition)
    if where is None or any(schema.columns[one.column].kind is JSON for one in conditions(where)):
        return None
    return evaluator(where, Steps(math.inf))


def condition_filter(schema: TableSchema, condition: Any) -> Filter | None:
    """A SQL condition on a row of the table as a checked filter; None if it is more than a filter can say."""
    try:
        text = str(condition.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True, "include_table": False}))
        text = text.replace("%%", "%") if not isinstance(condition, sa.TextClause) else text
        quoted = schema.name.replace('"', '""')
        select = translation.translate(Sql(f'select * from "{quoted}" where {text}'), Schema([schema])).operation  # noqa: S608  # the application's own text
        return checked_filter(schema, select.where) if isinstance(select, Select) else None
    except (DataError, sa.exc.CompileError):
        return None
