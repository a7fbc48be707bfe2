"""The face that an adapter and the connection manager share: what routes talk to."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from database.adapters.builder import TableQuery
from database.adapters.session import Backend
from database.adapters.session import Transaction
from database.core.context import active_unit
from database.core.context import current_context
from database.core.errors import Unsupported
from database.core.operations import Batch
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Sql
from database.core.operations import SqlParams
from database.core.result import Result
from database.core.result import Row


class Database(ABC):
    """Anything that carries out operations and opens transactions."""

    @property
    @abstractmethod
    def adapter(self) -> Backend:
        """The adapter that writes go to. :raises Unavailable: when there is none."""

    @abstractmethod
    def run_alone(self, operation: Operation) -> Result:
        """Carry out ``operation`` on its own, whatever unit of work is around."""

    @abstractmethod
    def begin_transaction(self) -> Transaction:
        """Open a transaction. :raises Unsupported: where the backend has no interactive transactions."""

    def run(self, operation: Operation) -> Result:
        """Carry out ``operation``: in the ambient unit of work if there is one, else on its own."""
        unit = active_unit.get()
        return self.run_alone(operation) if unit is None else unit.run(self, operation)

    def get(self, table: str, id: str, columns: tuple[str, ...] | None = None) -> Row | None:  # noqa: A002
        """The record with this id, or None."""
        return self.run(Get(table, id, columns)).first

    def table(self, name: str) -> TableQuery:
        """A query builder in the manner of Supabase's client."""
        return TableQuery(self, name)

    def execute_query(self, query: str, params: SqlParams = None) -> Any:
        """Run SQL text: a list of rows if the statement returns rows, else the number of rows affected."""
        return _answer(self.run(self._sql(query, params)))

    def execute_batch(self, queries: Iterable[str | tuple[str, SqlParams]]) -> list[Any]:
        """Run several statements, all or none; an answer as of :meth:`execute_query` for each."""
        pairs = [(query, None) if isinstance(query, str) else query for query in queries]
        batch = Batch(tuple(self._sql(text, params) for text, params in pairs))
        return [_answer(part) for part in self.run(batch).parts]

    def commit_transaction(self, transaction: Transaction) -> bool:
        """Make the transaction's changes last, on the adapter that it was begun on; True, or it raises."""
        transaction.commit()
        return True

    def rollback_transaction(self, transaction: Transaction) -> bool:
        """Undo the transaction's changes; True also if it was over already."""
        transaction.rollback()
        return True

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """A transaction that plain calls inside the block join: committed at its end, undone by an exception.

        Inside another transaction or unit of work it is a savepoint of that one.
        """
        unit = active_unit.get()
        if unit is not None:
            with unit.nested(self) as transaction:
                yield transaction
            return
        transaction = self.begin_transaction()
        token = active_unit.set(transaction)
        try:
            yield transaction
        except BaseException:
            transaction.rollback()
            raise
        finally:
            active_unit.reset(token)
        transaction.commit()

    def _execute_query_in_transaction(self, transaction: Transaction, query: str, params: SqlParams = None) -> Any:
        """Run SQL text in a transaction that :meth:`begin_transaction` returned."""
        return _answer(transaction.execute(self._sql(query, params), current_context.get()))

    def _sql(self, text: str, params: SqlParams) -> Operation:
        adapter = self.adapter
        if not adapter.capabilities.sql:
            raise Unsupported("sql", backend=adapter.name)
        return Sql(text, params)


def _answer(result: Result) -> Any:
    return result.rows if result.returns_rows else result.count
