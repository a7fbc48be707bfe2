"""Deletion of obsolete data: rows in chunks, because databases limit the rows of a delete; logs and journals."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.adapter.interface import Database
from database.core.clock import utc_now
from database.core.context import as_application
from database.core.errors import Unavailable
from database.core.operations import Delete
from database.core.operations import Select
from database.core.query.filters import Filter
from database.core.query.filters import Where
from database.schema.migrations.capture import install as capture
from database.schema.sqlalchemy_engine import has_engine
from database.sync.checkpoint import Follower
from database.sync.checkpoint import followers
from database.sync.side import CONFLICTS

_PART: Final = 500


def delete_in_parts(database: Database, table: str, where: Filter, key: str = "id") -> int:
    """Delete the matching rows; returns their number. An interrupted run may be repeated.

    :param key: the column that is the key of the table.
    :raises Unavailable: as :func:`ids_in_parts`.
    """
    return sum(delete(database, table, ids, key) for ids in ids_in_parts(database, table, where, key))


def delete(database: Database, table: str, ids: list[str], key: str = "id") -> int:
    """Delete the rows with these ids; returns the number of deleted rows."""
    return database.run(Delete(table, where=Where(key, "in", ids))).count or 0


def ids_in_parts(database: Database, table: str, where: Filter, key: str = "id") -> Iterator[list[str]]:
    """The ids of the matching rows, in chunks; the caller must delete each chunk before it requests the next.

    :raises Unavailable: if the primary does not answer the query, because a fallback's rows may be outdated.
    """
    query = Select(table, (key,), where, limit=_PART)
    while rows := (result := database.run(query)).rows:
        if result.source is not None:
            raise Unavailable(
                f"no more rows are deleted from {table}: the primary database is unavailable, and the fallback"
                f" {result.source} may be outdated; retry later"
            )
        yield [row[key] for row in rows]


def purge_conflicts(adapter: DatabaseAdapter, older_than: timedelta) -> int:
    """Delete old entries of a database's journal of conflicts; returns their number. Open conflicts are kept."""
    with as_application():
        old = Where("created_at", "lt", utc_now() - older_than) & Where("state", "is_null", True)
        return delete_in_parts(adapter, CONFLICTS, old)


def gone(known: Iterable[Follower], longer_than: timedelta) -> list[Follower]:
    """The followers that have not stored for that long how far they have read."""
    return [one for one in known if utc_now() - one.seen > longer_than]


def purge_changes(
    adapter: DatabaseAdapter, older_than: timedelta, *, unread: bool = False, followers_kept: timedelta = timedelta.max
) -> int:
    """Delete old entries of a database's change log; returns their number. Convex and memory purge their own.

    :param unread: also delete entries that a two-way sync has not read yet; its next cycle then compares everything.
    :param followers_kept: the same for a sync that has not stored for that long how far it has read.
    :raises SchemaMismatch: if the database has no change log.
    """
    known = [] if unread else followers(adapter)
    away = gone(known, followers_kept)
    cursors = [cursor for one in known if one not in away for cursor in one.cursors]
    if has_engine(adapter):
        return capture.purge(adapter, older_than, cursors)
    if adapter.kind != "supabase_http":
        return 0
    keep = f"{older_than.total_seconds()} seconds"
    with as_application():
        adapter.call("isthmus_purge", {"keep": keep})
        return int(adapter.call("isthmus_changes_purge", {"keep": keep, "cursors": cursors}))
