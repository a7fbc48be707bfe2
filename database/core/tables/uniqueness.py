"""The sets of columns whose values no two rows of a table have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa


def unique_sets(table: sa.Table) -> Iterator[tuple[str, ...]]:
    """The primary key, and every set of columns that is declared unique in all rows.

    A unique index on a part of the rows or on an expression is none, and neither is a constraint that is checked at the
    commit: a database cannot tell from it which row is meant.
    """
    yield tuple(str(column.name) for column in table.primary_key.columns)
    for constraint in table.constraints:
        if isinstance(constraint, sa.UniqueConstraint) and not constraint.deferrable:
            yield tuple(str(column.name) for column in constraint.columns)
    for index in table.indexes:
        if index.unique and condition_of(index) is None and not has_expressions(index):
            yield tuple(str(column.name) for column in index.columns)


def condition_of(index: sa.Index) -> Any:
    """The condition of an index on a part of the rows; None for an index on all of them."""
    found = (index.dialect_options[name]["where"] for name in ("postgresql", "sqlite"))
    return next((condition for condition in found if condition is not None), None)


def has_expressions(index: sa.Index) -> bool:
    """Whether an index is on more than columns."""
    return not all(isinstance(part, sa.Column) for part in index.expressions)
