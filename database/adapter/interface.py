"""The interface of adapters and of the connection manager, for routes and all other code."""

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
from database.core.context import Context
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
"""The name of a stored function, such as ``api.molecules.list`` or ``molecules:list``."""


class Database(ABC):
    """Executes operations and opens transactions."""

    @property
    @abstractmethod
    def adapter(self) -> BoundAdapter:
        """The adapter that receives writes. :raises Unavailable: if there is none."""

    @abstractmethod
    def run_alone(self, operation: Operation) -> Result:
        """Execute ``operation`` on its own, outside of any current unit of work."""

    @abstractmethod
    def begin_transaction(self, *, reads: bool = False) -> Transaction:
        """Open a transaction.

        :param reads: as in :meth:`DatabaseAdapter.begin_transaction
            <database.adapter.base.DatabaseAdapter.begin_transaction>`.
        :raises Unsupported: if the backend has no interactive transactions.
        """

    def begin_to_read(self, operation: Operation) -> tuple[Transaction, Result]:
        """Open a transaction that is expected only to read; returns it and the result of its first operation."""
        transaction = self.begin_transaction(reads=True)
        try:
            return transaction, transaction.execute(operation, current_context.get())
        except BaseException:
            transaction.rollback()
            raise

    def run(self, operation: Operation) -> Result:
        """Execute ``operation``: in the current unit of work if there is one, otherwise on its own."""
        unit = active_unit.get()
        return self.run_alone(operation) if unit is None else unit.run(self, operation)

    def run_in(self, context: Context, operation: Operation) -> Result:
        """As :meth:`run`, with the identity and the deadline of ``context`` instead of the current ones."""
        token = current_context.set(context)
        try:
            return self.run(operation)
        finally:
            current_context.reset(token)

    def get(
        self,
        table: str,
        id: str,  # noqa: A002
        columns: tuple[str, ...] | None = None,
        *,
        lock: bool = False,
    ) -> Row | None:
        """The record with this id, or None.

        :param lock: lock the record until the end of the transaction, after waiting for one that is changing it.
        :raises InvalidQuery: for a lock outside of a transaction.
        :raises Unsupported: for a lock if the backend has none.
        """
        return self.run(Get(table, id, columns, lock)).first

    def table(self, name: str) -> TableQuery:
        """A query builder like that of the Supabase client."""
        return TableQuery(self, name)

    def execute_query(self, query: str, params: SqlParams = None) -> Any:
        """Run SQL text; returns a list of rows if the statement returns rows, otherwise the number of affected rows.

        A name such as ``api.molecules.list`` calls that function with ``params`` and returns its result.

        :raises Unsupported: for SQL that cannot be translated for a backend without SQL, and for a function on a
            backend without functions.
        """
        return _answer(self.run(_operation(query, params)))

    def call(self, function: str, arguments: Record | None = None) -> Any:
        """Call a stored function by name and return its result.

        :raises Unsupported: if the backend has no functions.
        """
        return self.run(Call(function, arguments or {})).value

    def execute_batch(self, queries: Iterable[str | tuple[str, SqlParams]]) -> list[Any]:
        """Run several statements atomically; returns a result as of :meth:`execute_query` for each."""
        pairs = [(query, None) if isinstance(query, str) else query for query in queries]
        batch = Batch(tuple(_operation(text, params) for text, params in pairs))
        return [_answer(part) for part in self.run(batch).parts]

    def commit_transaction(self, transaction: Transaction) -> bool:
        """Commit the transaction on the adapter on which it began; returns True, or raises."""
        transaction.commit()
        return True

    def rollback_transaction(self, transaction: Transaction) -> bool:
        """Roll back the transaction; returns True, even if it had already ended."""
        transaction.rollback()
        return True

    def transaction(self, *, reads: bool = False) -> AbstractContextManager[Transaction]:
        """A transaction for all calls inside the block; committed at its end, rolled back by an exception.

        Inside another transaction or unit of work it is a savepoint of that one.

        :param reads: as in :meth:`begin_transaction`.
        """
        unit = active_unit.get()
        return _Block(self, reads=reads) if unit is None else unit.nested(self)

    def _execute_query_in_transaction(self, transaction: Transaction, query: str, params: SqlParams = None) -> Any:
        """Run :meth:`execute_query` in a transaction that :meth:`begin_transaction` returned."""
        return _answer(transaction.execute(_operation(query, params), current_context.get()))


class _Block:
    """A separate transaction around a block. Not a generator: that would cost half as much as the begin."""

    __slots__ = ("_database", "_reads", "_token", "_transaction")

    def __init__(self, database: Database, *, reads: bool) -> None:
        self._database = database
        self._reads = reads

    def __enter__(self) -> Transaction:
        self._transaction = self._database.begin_transaction(reads=self._reads)
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
    # SQL text contains a space; this test saves it the slower regular expression.
    if " " in query or not _FUNCTION.fullmatch(query):
        return Sql(query, params)
    if params is not None and not isinstance(params, Mapping):
        raise InvalidQuery(f"the arguments of {query} must be a mapping of names to values")
    return Call(query, params or {})


def _answer(result: Result) -> Any:
    if result.returns_rows:
        return result.rows
    return result.value if result.count is None else result.count
