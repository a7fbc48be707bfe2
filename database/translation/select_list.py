"""Select lists and RETURNING: the outputs of a statement."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from database.core.errors import InvalidQuery
from database.core.kinds.values import JSON
from database.core.kinds.values import WrittenNumber
from database.core.query.validation import GROUP_COUNT
from database.core.result import Row
from database.core.tables.schema import TableSchema
from database.sql.texts.answers import require_distinct
from database.translation.conditions import Scope
from database.translation.literals import Bindings
from database.translation.literals import Converted
from database.translation.literals import Term
from database.translation.literals import term_of
from database.translation.syntax import name_of
from database.translation.syntax import refused
from database.translation.syntax import require
from database.translation.syntax import unwrapped

_UNNAMED = "?column?"
"""PostgreSQL's name for a value without a name."""


@dataclass(frozen=True, slots=True)
class ColumnOutput:
    """A column, under its own name or an alias."""

    name: str
    column: str


@dataclass(frozen=True, slots=True)
class CountOutput:
    """The number of rows."""

    name: str


@dataclass(frozen=True, slots=True)
class ValueOutput:
    """The same value in every row."""

    name: str
    term: Term


@dataclass(frozen=True, slots=True)
class AllColumns:
    """A star."""


Known = ColumnOutput | CountOutput | ValueOutput
"""An output with a name."""

Output = Known | AllColumns


def outputs_of(nodes: Iterable[exp.Expr], scope: Scope) -> tuple[Output, ...]:
    """Convert a select list. :raises Unsupported: for computed values other than the number of rows."""
    outputs = tuple([_output(node, scope) for node in nodes])
    if not outputs:
        raise InvalidQuery("the list of columns must not be empty")
    return outputs


def expanded(outputs: Iterable[Output], table: TableSchema) -> tuple[Known, ...]:
    """Replace each star by the columns of the table. :raises InvalidQuery: for two outputs of one name."""
    known: list[Known] = []
    for output in outputs:
        if isinstance(output, AllColumns):
            known += [ColumnOutput(name, name) for name in table.columns]
        else:
            known.append(output)
    require_distinct([output.name for output in known])
    return tuple(known)


def columns_of(outputs: Iterable[Known]) -> tuple[str, ...]:
    """The columns that the outputs need, each once."""
    return tuple(dict.fromkeys(output.column for output in outputs if isinstance(output, ColumnOutput)))


def constants(outputs: Iterable[Known], bindings: Bindings) -> Row:
    """The values that are the same in every row."""
    return {output.name: _plain(output.term.value(bindings)) for output in outputs if isinstance(output, ValueOutput)}


def _plain(value: Any) -> Any:
    return float(value) if type(value) is WrittenNumber else value


def projected(rows: Sequence[Row], outputs: Sequence[Known], bindings: Bindings) -> list[Row]:
    """Convert rows to the outputs' names and values, in their order."""
    values = constants(outputs, bindings)
    sources = [(output.name, _source(output)) for output in outputs]
    return [{name: values[name] if source is None else row[source] for name, source in sources} for row in rows]


def plain(outputs: Sequence[Known], columns: Sequence[str]) -> bool:
    """Whether rows of these columns need no conversion."""
    return len(outputs) == len(columns) and all(
        isinstance(output, ColumnOutput) and output.name == output.column == column
        for output, column in zip(outputs, columns, strict=True)
    )


def _source(output: Known) -> str | None:
    """The output's key in a row; None for a constant."""
    if isinstance(output, ColumnOutput):
        return output.column
    return GROUP_COUNT if isinstance(output, CountOutput) else None


def _output(node: exp.Expr, scope: Scope) -> Output:
    name = None
    if isinstance(node, exp.Alias):
        require(node, "this", "alias")
        node, name = node.this, name_of(node.args["alias"])
    node = unwrapped(node)
    if _is_star(node, scope):
        return AllColumns()
    if isinstance(node, exp.Column):
        column = scope.column(node)
        return ColumnOutput(name or column, column)
    if isinstance(node, exp.Count):
        _require_all_rows(node)
        return CountOutput(name or "count")
    term = term_of(node)
    if isinstance(term, Converted) and term.kind is JSON:
        raise refused("JSON as an output")
    return ValueOutput(name or _UNNAMED, term)


def _is_star(node: exp.Expr, scope: Scope) -> bool:
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        require(node, "this", "table")
        scope.check(node)
        node = node.this
    if not isinstance(node, exp.Star):
        return False
    require(node)
    return True


def _require_all_rows(node: exp.Count) -> None:
    """Refuse counts that leave out rows: of a column, which may be null, or of distinct values."""
    require(node, "this", "big_int")
    counted = unwrapped(node.this)
    if not isinstance(counted, exp.Star | exp.Literal):
        raise refused("a count of anything but *")
    require(counted, "this", "is_string")
