"""Deletion of obsolete data: rows in chunks, because databases limit the rows of one delete, and change log entries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.adapter.interface import Database
from database.core.context import as_application
from database.core.errors import Unavailable
from database.core.operations import Delete
from database.core.operations import Select
from database.core.query.filters import Filter
from database.core.query.filters import Where
from database.schema.migrations.capture import install as capture
from database.schema.sqlalchemy_engine import has_engine
from database.sync.checkpoint import followers

_PART: Final = 500


def delete_in_parts(database: Database, table: str, where: Filter) -> int:
    """Delete the matching rows; returns their number. An interrupted run may be repeated.

    :raises Unavailable: as :func:`ids_in_parts`.
    """
    return sum(delete(database, table, ids) for ids in ids_in_parts(database, table, where))


def delete(database: Database, table: str, ids: list[str]) -> int:
    """Delete the rows with these ids; returns the number of deleted rows."""
    return database.run(Delete(table, where=Where("id", "in", ids))).count or 0


def ids_in_parts(database: Database, table: str, where: Filter) -> Iterator[list[str]]:
    """The ids of the matching rows, in chunks; the caller must delete each chunk before it requests the next.

    :raises Unavailable: if the primary does not answer the query, because a fallback's rows may be outdated.
    """
    query = Select(table, ("id",), where, limit=_PART)
    while rows := (result := database.run(query)).rows:
        if result.source is not None:
            raise Unavailable(
                f"no more rows are deleted from {table}: the primary database is unavailable, and the fallback"
                f" {result.source} may be outdated; retry later"
            )
        yield [row["id"] for row in rows]


def purge_changes(adapter: DatabaseAdapter, older_than: timedelta, *, unread: bool = False) -> int:
    """Delete old entries of a database's change log; returns their number. Convex and memory purge their own.

    :param unread: also delete entries that a two-way sync has not read yet; its next cycle then compares everything.
    :raises SchemaMismatch: if the database has no change log.
    """
    cursors = [] if unread else followers(adapter)
    if has_engine(adapter):
        return capture.purge(adapter, older_than, cursors)
    if adapter.kind != "supabase_http":
        return 0
    keep = f"{older_than.total_seconds()} seconds"
    with as_application():
        adapter.call("isthmus_purge", {"keep": keep})
        return int(adapter.call("isthmus_changes_purge", {"keep": keep, "cursors": cursors}))
