"""What a statement is translated to."""

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
    """An operation, and how its result becomes the answer to the statement."""

    operation: Operation
    answer: Callable[[Result], Result]


class Plan(ABC):
    """A parsed statement, which waits for the values of its placeholders and for the tables."""

    __slots__ = ()

    @abstractmethod
    def bound(self, schema: Schema, bindings: Bindings) -> Translation:
        """The statement with its values.

        :raises NotFound: for an unknown table.
        :raises InvalidQuery: for unknown columns, and values that do not fit.
        :raises Unsupported: for what turns out to be no operation on this table.
        """


def answered(result: Result, rows: list[Row]) -> Result:
    """The answer of a statement that returns these rows. :raises UnreadableRecord: if there are more."""
    for bad in result.unreadable:
        raise bad.error()
    return replace(result, rows=rows, count=len(rows), returns_rows=True)


def changed(result: Result, returning: Sequence[Known] | None, bindings: Bindings) -> Result:
    """The answer of a statement that writes: the rows that are asked for, and how many there were.

    :raises OutcomeUnknown: if some of them cannot be read: outside of a transaction the write may have been made.
    """
    if returning is not None and result.unreadable:
        raise OutcomeUnknown("the write was carried out, and its answer holds a value without equal")
    rows = [] if returning is None else projected(result.rows, returning, bindings)
    return replace(result, rows=rows, returns_rows=returning is not None)
