"""The sets of columns whose values no two rows of a table have in common."""

from __future__ import annotations

from collections.abc import Iterator

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
        if index.unique and _is_of_all_rows(index):
            yield tuple(str(column.name) for column in index.columns)


def _is_of_all_rows(index: sa.Index) -> bool:
    partial = any(index.dialect_options[name]["where"] is not None for name in ("postgresql", "sqlite"))
    return not partial and all(isinstance(part, sa.Column) for part in index.expressions)
