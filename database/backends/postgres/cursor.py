"""The cursor for SQL text as callers write it."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
from typing import Any
from typing import cast

import psycopg
from psycopg.abc import PQGen
from psycopg.generators import fetch
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from database.sql.limited import within_limits
from database.sql.table import Values

_LAST = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}


class TextCursor(psycopg.Cursor[tuple[Any, ...]]):
    """Sends everything by the extended protocol.

    The server takes one statement by it, and answers only once that is committed. By the simple protocol it may report
    a cancellation after the commit.
    """

    _being_loaded = False
    """Whether ``pgresult`` is a row that has not been loaded yet. It stays, if that failed."""

    def limited(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        """Run a statement whose rows come one after another.

        :raises InvalidQuery: once they are too many or too large; the statement is cancelled.
        """
        rows = cast(Generator[tuple[Any, ...]], self.stream(text, values or None))
        try:
            return within_limits(self._taken(rows))
        finally:
            # It cancels what still runs.
            rows.close()

    def _taken(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            self._being_loaded = False
            yield row

    def changed(self) -> int:
        """How many rows the last statement affected."""
        return max((self.pgresult.command_tuples if self.pgresult else 0) or 0, 0)

    def _execute_send(self, query: Any, *, force_extended: bool = True, binary: bool | None = None) -> None:
        super()._execute_send(query, force_extended=True, binary=binary)

    def _stream_fetchone_gen(self, first: bool) -> PQGen[PGresult | None]:
        """As psycopg's, but for statements without rows, too: the last result tells columns and rows affected."""
        result: PGresult | None = yield from fetch(self._pgconn)
        if result is None:
            return None
        if self._being_loaded:
            return result if result.status == ExecStatus.SINGLE_TUPLE else None
        if result.status == ExecStatus.SINGLE_TUPLE:
            self._being_loaded = True
            self.pgresult = result
            self._tx.set_pgresult(result, set_loaders=first)
            if first:
                self._make_row = self._make_row_maker()
            return result
        if result.status not in _LAST:
            self._raise_for_result(result)
        self.pgresult = result
        while (yield from fetch(self._pgconn)) is not None:
            pass
        return None
