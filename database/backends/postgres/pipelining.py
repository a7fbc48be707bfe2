"""One statement for many rows, without waiting for each response."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from contextlib import suppress
from typing import Any

import psycopg

from database.sql.table import Values


def execute_many(cursor: psycopg.Cursor[Any], text: str, rows: Iterable[Values]) -> None:
    """Run the statement once per row of values. :raises psycopg.Error: the first error; later rows are not run."""
    with ExitStack() as stack:
        stack.enter_context(cursor.connection.pipeline())
        try:
            cursor.executemany(text, rows)
        except psycopg.Error:
            # Exit the pipeline without the error; otherwise psycopg logs that the other statements were not executed.
            with suppress(psycopg.Error):
                stack.pop_all().close()
            raise
