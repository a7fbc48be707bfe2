"""The interface that an adapter and the connection manager share: what routes talk to."""

from __future__ import annotations

import re
from abc import ABC
from abc import abstractmethod
from collections.abc import Iterable
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any

from database.adapter.builder import TableQuery
from database.adapter.transactions import BoundAdapter
from database.adapter.transactions import Transaction
from database.core.context import active_unit
from database.core.context import current_context
from database.core.errors import InvalidQuery
from database.core.operations import Batch
from database.core.operations import Call
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Record
from database.core.operations import Sql
from database.core.operations import SqlParams
from database.core.result import Result
from database.core.result import Row

_FUNCTION = re.compile(r"[A-Za-z]\w*(?:[./][A-Za-z]\w*)*[.:][A-Za-z]\w*", re.ASCII)
"""The name of a stored function, as in ``api.molecules.list`` or ``molecules:list``."""


class Database(ABC):
    """Anything that carries out operations and opens transactions."""

    @property
    @abstractmethod
    def adapter(self) -> BoundAdapter:
        """The adapter that writes go to. :raises Unavailable: when there is none."""

    @abstractmethod
    def run_alone(self, operation: Operation) -> Result:
        """Carry out ``operation`` on its own, whatever unit of work is around."""

    @abstractmethod
    def begin_transaction(self, *, reads: bool = False) -> Transaction:
        """Open a transaction.

        :param reads: it is expected to read only, as :class:`~database.adapter.base.DatabaseAdapter` has it.
        :raises Unsupported: where the backend has no interactive transactions.
        """

    def begin_to_read(self, operation: Operation) -> tuple[Transaction, Result]:
        """A transaction that is expected to read only, and the answer to its first operation."""
        transaction = self.begin_transaction(reads=True)
        try:
            return transaction, transaction.execute(operation, current_context.get())
        except BaseException:
            transaction.rollback()
            raise

    def run(self, operation: Operation) -> Result:
        """Carry out ``operation``: in the ambient unit of work if there is one, else on its own."""
        unit = active_unit.get()
        return self.run_alone(operation) if unit is None else unit.run(self, operation)

    def get(
        self,
        table: str,
        id: str,  # noqa: A002
        columns: tuple[str, ...] | None = None,
        *,
        lock: bool = False,
    ) -> Row | None:
        """The record with this id, or None.

        :param lock: inside a transaction, keep others from changing it until the end, and wait for who does so now.
        :raises InvalidQuery: for a lock outside of a transaction.
        :raises Unsupported: for a lock where the backend has none.
        """
        return self.run(Get(table, id, columns, lock)).first

    def table(self, name: str) -> TableQuery:
        """A query builder in the manner of Supabase's client."""
        return TableQuery(self, name)

    def execute_query(self, query: str, params: SqlParams = None) -> Any:
        """Run SQL text: a list of rows if the statement returns rows, else the number of rows affected.

        A name such as ``api.molecules.list`` calls that function with ``params`` and returns what it returns.

        :raises Unsupported: for a construct that a backend without SQL of its own cannot carry out, and for a
            function on a backend that has none.
        """
        return _answer(self.run(_operation(query, params)))

    def call(self, function: str, arguments: Record | None = None) -> Any:
        """Call a stored function by name and return what it returns.

        :raises Unsupported: on a backend that has none.
        """
        return self.run(Call(function, arguments or {})).value

    def execute_batch(self, queries: Iterable[str | tuple[str, SqlParams]]) -> list[Any]:
        """Run several statements, all or none; an answer as of :meth:`execute_query` for each."""
        pairs = [(query, None) if isinstance(query, str) else query for query in queries]
        batch = Batch(tuple(_operation(text, params) for text, params in pairs))
        return [_answer(part) for part in self.run(batch).parts]

    def commit_transaction(self, transaction: Transaction) -> bool:
        """Make the transaction's changes last, on the adapter that it was begun on; True, or it raises."""
        transaction.commit()
        return True

    def rollback_transaction(self, transaction: Transaction) -> bool:
        """Undo the transaction's changes; True also if it was over already."""
        transaction.rollback()
        return True

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction that plain calls inside the block join: committed at its end, undone by an exception.

        Inside another transaction or unit of work it is a savepoint of that one.
        """
        unit = active_unit.get()
        return _Block(self) if unit is None else unit.nested(self)

    def _execute_query_in_transaction(self, transaction: Transaction, query: str, params: SqlParams = None) -> Any:
        """Do as :meth:`execute_query` in a transaction that :meth:`begin_transaction` returned."""
        return _answer(transaction.execute(_operation(query, params), current_context.get()))


class _Block:
    """A transaction of its own around a block. A generator would cost half as much as beginning it does."""

    __slots__ = ("_database", "_token", "_transaction")

    def __init__(self, database: Database) -> None:
        self._database = database

    def __enter__(self) -> Transaction:
        self._transaction = self._database.begin_transaction()
        self._token = active_unit.set(self._transaction)
        return self._transaction

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is not None:
                self._transaction.rollback()
        finally:
            active_unit.reset(self._token)
        if kind is None:
            self._transaction.commit()


def _operation(query: str, params: SqlParams) -> Operation:
    # SQL has a space in it, so that it does not pay for the look.
    if " " in query or not _FUNCTION.fullmatch(query):
        return Sql(query, params)
    if params is not None and not isinstance(params, Mapping):
        raise InvalidQuery("a function takes its arguments by name")
    return Call(query, params or {})


def _answer(result: Result) -> Any:
    if result.returns_rows:
        return result.rows
    return result.value if result.count is None else result.count
