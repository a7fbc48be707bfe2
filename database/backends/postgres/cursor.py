"""The cursor for callers' SQL text."""

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

from database.sql.many_rows import Values
from database.sql.texts.limited import within_limits

_LAST = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}


class TextCursor(psycopg.Cursor[tuple[Any, ...]]):
    """Sends every statement by the extended protocol.

    That protocol accepts only one statement, and the server responds only after its commit. With the simple protocol
    the server may report a cancellation after it has committed.
    """

    _being_loaded = False
    """Whether ``pgresult`` is a row that is not loaded yet; remains True if loading fails."""

    def limited(self, text: str, values: Values) -> list[tuple[Any, ...]]:
        """Run a statement and stream its rows.

        :raises InvalidQuery: if the rows are too many or too large; the statement is cancelled.
        """
        rows = cast(Generator[tuple[Any, ...]], self.stream(text, values or None))
        try:
            return within_limits(self._marked_loaded(rows))
        finally:
            # Closing the generator cancels a running statement.
            rows.close()

    def _marked_loaded(self, rows: Iterable[tuple[Any, ...]]) -> Iterator[tuple[Any, ...]]:
        for row in rows:
            self._being_loaded = False
            yield row

    def changed(self) -> int:
        """The number of rows that the last statement affected."""
        return max((self.pgresult.command_tuples if self.pgresult else 0) or 0, 0)

    def _execute_send(self, query: Any, *, force_extended: bool = True, binary: bool | None = None) -> None:
        super()._execute_send(query, force_extended=True, binary=binary)

    def _stream_fetchone_gen(self, first: bool) -> PQGen[PGresult | None]:
        """Like psycopg's, but also for statements without rows; the last result has the columns and affected rows."""
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
