"""What the operations ask of a driver's connection."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import Protocol

from database.core.tables.schema import TableSchema
from database.sql.many_rows import ManyRows
from database.sql.many_rows import Values
from database.sql.texts.answers import SqlAnswer


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What a database does to the rows that are written to a table.

    :ivar triggers: whether triggers of others may change or drop them.
    :ivar rules: whether something else is carried out instead, so that nothing is returned and no count is right.
    :ivar computed: the columns that the database computes, so that nobody can write them.
    :ivar any: whether a row may be stored in another form than it was sent.
    """

    triggers: bool
    rules: bool
    computed: tuple[str, ...] = ()
    any: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "any", self.triggers or self.rules)


class SqlConnection(Protocol):
    """What the operations ask of a driver's connection. Errors come out translated."""

    def rows(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        """Run a statement that returns rows."""

    def returned(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        """All rows that a write of one statement returns, which has no other effect if it fails."""

    def change(self, text: str, values: Values) -> int:
        """Run a statement that returns none; how many rows it affected."""

    def change_many(self, text: str, rows: Iterable[Values]) -> None:
        """Run a statement once per row of values."""

    def rewriting(self, table: TableSchema) -> Rewriting:
        """What the database does to the rows that are written to a table, apart from Isthmus' own triggers."""

    def insert_many(self, table: TableSchema, text: str, many: ManyRows) -> None:
        """Insert many rows in the fastest way the driver has.

        :param text: the statement that inserts one.
        """

    def change_together(self, table: TableSchema, text: str, many: ManyRows) -> None:
        """Run a statement that takes many rows as one value, as ``SqlDialect.rows_of`` has it.

        :param table: the table whose columns have the types of these.
        """

    def statement(self, text: str, values: Values, *, limited: bool) -> SqlAnswer:
        """Run one SQL statement.

        :param limited: whether it is stopped where its rows pass :func:`~database.sql.texts.limited.within_limits`.
        :raises InvalidQuery: for several statements, before any is carried out, and for columns of one name.
        """

    def atomic(self) -> AbstractContextManager[None]:
        """All or none of what happens inside; joins a transaction that is already open."""

    def snapshot(self) -> AbstractContextManager[None]:
        """What is read inside is of one moment; joins a transaction that is already open."""
