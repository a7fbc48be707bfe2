"""One statement for many rows, without waiting for the answer to each."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from contextlib import suppress
from typing import Any

import psycopg

from database.sql.table import Values


def execute_many(cursor: psycopg.Cursor[Any], text: str, rows: Iterable[Values]) -> None:
    """Run the statement once per row of values. :raises psycopg.Error: the first; the rest is not run."""
    with ExitStack() as stack:
        stack.enter_context(cursor.connection.pipeline())
        try:
            cursor.executemany(text, rows)
        except psycopg.Error:
            # Left with the error, psycopg's pipeline would log that the other statements were not carried out.
            with suppress(psycopg.Error):
                stack.pop_all().close()
            raise
