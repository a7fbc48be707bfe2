"""The cursors: for statements that are prepared, and for callers' SQL text."""

from __future__ import annotations

from collections.abc import Generator
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import cast

import psycopg
from psycopg._queries import PostgresQuery
from psycopg.abc import Buffer
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.generators import execute
from psycopg.generators import fetch
from psycopg.pq import ExecStatus
from psycopg.pq import Format
from psycopg.pq.abc import PGresult

from database.sql.many_rows import Values
from database.sql.texts.limited import within_limits

_LAST = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}
_MOST_KNOWN = 200


class PreparedCursor(psycopg.Cursor[tuple[Any, ...]]):
    """Sends a statement that psycopg has prepared before as psycopg does, with a fraction of its steps in Python.

    Those take about as long as the server takes for a row. Which statements are prepared, psycopg alone knows.
    """

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        super().__init__(connection)
        self.format = Format.BINARY
        # One for all statements, so that it looks up only once how a type is written and read.
        self._values = Transformer(self)
        # The statements with the places of their values in psycopg's form, by their text.
        self._known: dict[str, tuple[bytes, list[PyFormat]]] = {}

    def run(self, text: str, values: Values, prepare: bool) -> PGresult:
        """Run one statement.

        :param prepare: use a prepared statement, and prepare it if there is none.
        """
        if prepare:
            query, formats = self._known.get(text) or self._read(text, values)
            if len(values) == len(formats):
                params = self._values.dump_sequence(values, formats)
                key, names = (query, self._values.types or ()), self._conn._prepared._names
                if (name := names.get(key)) is not None:
                    # Those that were not used for longest are given up first.
                    names.move_to_end(key)
                    return self._sent(name, params)
        self.execute(text, values, prepare=prepare)
        assert self.pgresult is not None, "the statement was executed"
        return self.pgresult

    def load(self, result: PGresult) -> list[tuple[Any, ...]]:
        """The rows of a result."""
        self._values.set_pgresult(result)
        return self._values.load_rows(0, result.ntuples, tuple)

    def _read(self, text: str, values: Values) -> tuple[bytes, list[PyFormat]]:
        query = PostgresQuery(self._values)
        query.convert(text, values)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        known = self._known[text] = query.query, query._want_formats or []
        return known

    def _sent(self, name: bytes, params: Sequence[Buffer | None]) -> PGresult:
        """The result of a prepared statement."""
        self._pgconn.send_query_prepared(name, params, param_formats=self._values.formats, result_format=Format.BINARY)
        result: PGresult = self._conn.wait(execute(self._pgconn))[0]
        if result.status not in _LAST:
            raise error_from_result(result, encoding=self._encoding)
        return result


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
