"""Carries out one SQL statement as one operation.

Names are read as in PostgreSQL: lower case unless quoted. Ids, versions, times and declared defaults are filled in
as for any operation, and rows are sorted by id unless the statement sorts them. A text is parsed once; values are
never part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import NamedTuple

from sqlglot import exp

from database.core.caching import remembered
from database.core.clock import utc_now
from database.core.errors import InvalidQuery
from database.core.operations import Operation
from database.core.operations import Sql
from database.core.operations import reads_only
from database.core.result import Result
from database.core.tables.schema import Schema
from database.sql.texts.parameters import PLAIN
from database.sql.texts.placeholders import Style
from database.sql.texts.placeholders import bind
from database.translation.literals import Bindings
from database.translation.plan import Plan
from database.translation.plan import Translation
from database.translation.selects import select_plan
from database.translation.syntax import parse
from database.translation.syntax import refused_node
from database.translation.writes import delete_plan
from database.translation.writes import insert_plan
from database.translation.writes import update_plan

_CACHED_BYTES = 8 << 20
_BYTES_PER_CHARACTER = 60
"""The approximate size of a text and its plan in the cache."""

_PLANS: dict[type[exp.Expr], Callable[[Any], Plan]] = {
    exp.Select: select_plan,
    exp.Insert: insert_plan,
    exp.Update: update_plan,
    exp.Delete: delete_plan,
}


class Prepared(NamedTuple):
    """A statement's plan and its number of placeholders."""

    plan: Plan
    places: int


def run_sql(operation: Sql, schema: Schema, execute: Callable[[Operation], Result]) -> Result:
    """Carry out SQL text by one call of ``execute``; rows and counts are those of a SQL backend.

    :raises Unsupported: for a construct without an equivalent operation; ``execute`` is not called then.
    :raises NotFound: for an unknown table.
    :raises InvalidQuery: for a syntax error, for unknown columns, and for parameters that do not fit.
    """
    translation = translate(operation, schema)
    return translation.answer(execute(translation.operation))


def translate(operation: Sql, schema: Schema) -> Translation:
    """Translate SQL text to an operation; raises as :func:`run_sql`."""
    text, values = bind(operation.text, operation.params, Style.QUESTION, PLAIN.with_labels(schema.enum_labels))
    prepared = _prepared(text)
    if prepared.places != len(values):
        raise InvalidQuery(f"the statement has {prepared.places} placeholders, but {len(values)} values were given")
    translation = prepared.plan.bound(schema, Bindings(values, utc_now()))
    if reads_only(operation) and not reads_only(translation.operation):
        # A nested comment can hide the first word of a statement from reads_only(), which does not parse the text.
        raise InvalidQuery("a statement that writes must not begin like one that reads; remove its comments")
    return translation


@remembered(_CACHED_BYTES, lambda text: 1000 + _BYTES_PER_CHARACTER * len(text))
def _prepared(text: str) -> Prepared:
    try:
        tree = parse(text)
        plan = _PLANS.get(type(tree.root))
        if plan is None:
            raise refused_node(tree.root)
        return Prepared(plan(tree.root), tree.places)
    except RecursionError:
        raise InvalidQuery("the statement is nested too deeply; simplify it") from None
