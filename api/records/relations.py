"""Related rows in the responses of lists and records: ``select=*,experiments(name)``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from api.records.table_access import require_readable
from api.records.table_access import shown_schema
from database import Result
from database import Row
from database import TableSchema
from database import Unreadable
from database import current_database
from database.adapter.joins import Budget
from database.adapter.joins import Join
from database.adapter.joins import Joined
from database.adapter.joins import prepared
from database.adapter.relations import related
from database.core.query.selection import Selection
from database.core.query.selection import check_texts
from database.core.query.selection import give_as_text

MAX_RELATED = 10_000
"""The most related rows in a response."""

MAX_RELATED_BYTES = 8 << 20
"""The most bytes of JSON of all related rows in a response."""


@dataclass(frozen=True, slots=True)
class Output:
    """What the response has of each row.

    :ivar columns: the columns of the table; None for all.
    """

    columns: tuple[str, ...] | None
    texts: tuple[str, ...]
    joins: tuple[Join, ...]
    joined: Sequence[Joined]

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that the related rows are found by."""
        return tuple([join.column for join in self.joins])

    def complete(self, rows: list[Row], unreadable: Sequence[Unreadable]) -> tuple[list[Row], Sequence[Unreadable]]:
        """The rows as the response has them, and all records that cannot be read, related ones among them.

        :raises InvalidQuery: if too many or too large rows are related to them.
        """
        result = Result(rows, unreadable=unreadable)
        budget = Budget(MAX_RELATED, MAX_RELATED_BYTES)
        for each in self.joined:
            each.attach(current_database().run, result, budget)
        give_as_text(rows, self.texts)
        if self.columns is None:
            return rows, result.unreadable
        shown = (*self.columns, *[join.key for join in self.joins])
        return [{name: row[name] for name in shown} for row in rows], result.unreadable


def output_of(table: TableSchema, selection: Selection) -> Output:
    """What a selection means for the rows of a table.

    :raises InvalidQuery: for relations that no foreign key declares, and for columns that cannot be given as text.
    :raises NotFound: :raises AuthError: for a table that the caller may not read, as a list of that table does.
    """
    if not selection.relations and not selection.texts:
        return Output(selection.columns, (), (), ())
    for relation in selection.relations:
        require_readable(relation.table)
    check_texts(table, selection.texts)
    schema = shown_schema()
    joins = related(schema, table, selection.relations)
    return Output(selection.columns, selection.texts, joins, prepared(schema, table, joins))
