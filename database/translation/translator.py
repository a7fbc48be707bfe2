"""One SQL statement carried out as one operation.

Names are read as PostgreSQL reads them, in lower case unless quoted. What the data layer fills in for an
operation (``id``, ``version``, times, declared defaults), it fills in here, too, and rows come in the order of
their ids unless another is asked for. A text is parsed once; its values are never part of it.
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
from database.sql.placeholders import Style
from database.sql.placeholders import bind
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
"""Of a text and its plan."""

_PLANS: dict[type[exp.Expr], Callable[[Any], Plan]] = {
    exp.Select: select_plan,
    exp.Insert: insert_plan,
    exp.Update: update_plan,
    exp.Delete: delete_plan,
}


class Prepared(NamedTuple):
    """A statement's plan, and how many placeholders it has."""

    plan: Plan
    places: int


def run_sql(operation: Sql, schema: Schema, execute: Callable[[Operation], Result]) -> Result:
    """Carry out SQL text by one call of ``execute``; rows and counts are as SQL backends give them.

    :raises Unsupported: for a construct that is no operation; ``execute`` is not called then.
    :raises NotFound: for an unknown table.
    :raises InvalidQuery: for text that is no SQL, for unknown columns, and for parameters that do not fit.
    """
    translation = translate(operation, schema)
    return translation.answer(execute(translation.operation))


def translate(operation: Sql, schema: Schema) -> Translation:
    """The operation that SQL text stands for; errors as of :func:`run_sql`."""
    text, values = bind(operation.text, operation.params, Style.QUESTION)
    prepared = _prepared(text)
    if prepared.places != len(values):
        raise InvalidQuery(f"the statement has {prepared.places} placeholders")
    translation = prepared.plan.bound(schema, Bindings(values, utc_now()))
    if reads_only(operation) and not reads_only(translation.operation):
        # A nested comment can hide the beginning of a statement from those who only look there.
        raise InvalidQuery("a statement that writes must not begin like one that reads")
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
        raise InvalidQuery("the statement is nested too deeply") from None
