"""The translation of a SQL statement."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

from database.core.errors import OutcomeUnknown
from database.core.operations import Operation
from database.core.result import Result
from database.core.result import Row
from database.core.tables.schema import Schema
from database.translation.literals import Bindings
from database.translation.select_list import Known
from database.translation.select_list import projected


@dataclass(frozen=True, slots=True)
class Translation:
    """An operation, and the function that converts its result to the result of the statement."""

    operation: Operation
    answer: Callable[[Result], Result]


class Plan(ABC):
    """A parsed statement, without the values of its placeholders and the tables' declarations."""

    __slots__ = ()

    @abstractmethod
    def bound(self, schema: Schema, bindings: Bindings) -> Translation:
        """Return the translation for these values.

        :raises NotFound: for an unknown table.
        :raises InvalidQuery: for unknown columns, and for values of the wrong type.
        :raises Unsupported: if there is no such operation on this table.
        """


def answered(result: Result, rows: list[Row]) -> Result:
    """The result of a statement that returns these rows. :raises UnreadableRecord: if some rows cannot be read."""
    for bad in result.unreadable:
        raise bad.error()
    return replace(result, rows=rows, count=len(rows), returns_rows=True)


def changed(result: Result, returning: Sequence[Known] | None, bindings: Bindings) -> Result:
    """The result of a statement that writes: the rows of its RETURNING, and the number of changed rows.

    :raises OutcomeUnknown: if some rows cannot be read: outside of a transaction the write may have been applied.
    """
    if returning is not None and result.unreadable:
        raise OutcomeUnknown("the write was carried out, but it returns a row with a value that cannot be read")
    rows = [] if returning is None else projected(result.rows, returning, bindings)
    return replace(result, rows=rows, returns_rows=returning is not None)
