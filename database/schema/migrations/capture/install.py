"""The log of changes made, looked for and purged, on every SQL database.

Every declared table that is not Isthmus' own gets triggers, so that the log has also what other programs change.
Like the access rules, all this is state and not history: it is made anew after the migrations have run.
"""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Iterable
from collections.abc import Sequence
from datetime import timedelta
from typing import Protocol

import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.changes.feed import no_log
from database.schema.migrations import capture
from database.schema.migrations.capture.tables import captured
from database.schema.sqlalchemy_engine import connected


class _Log(Protocol):
    """What there is for each kind of database."""

    def apply(self, connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
        """Make the log, and the triggers of the tables."""

    def differences(self, connection: sa.Connection, tables: Sequence[sa.Table]) -> list[str]:
        """What is missing of them, a line each."""

    def exists(self, connection: sa.Connection) -> bool:
        """Whether there is a log."""

    def purge(self, connection: sa.Connection, older_than: timedelta, cursors: Sequence[str]) -> int:
        """Forget entries that are older, and that who has these cursors has read; how many they were."""


def apply(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Make the log on ``connection``'s database, and the triggers of those of the declared ``tables`` that it has.

    It may be run again.
    """
    found = set(sa.inspect(connection).get_table_names())
    _log(connection).apply(connection, [table for table in captured(tables) if table.name in found])


def differences(connection: sa.Connection, tables: Iterable[sa.Table]) -> list[str]:
    """What the database lacks of the log, a line each; nothing for tables that it does not have either."""
    return _log(connection).differences(connection, captured(tables))


def supabase_statements(tables: Iterable[sa.Table], there: Container[str]) -> list[str]:
    """The SQL that makes the same in a Supabase project that has the tables ``there``; it may be run again."""
    return capture.postgres.statements([table for table in captured(tables) if table.name in there], roles=True)


def purge(adapter: DatabaseAdapter, older_than: timedelta, cursors: Sequence[str] = ()) -> int:
    """Forget changes that are older; how many they were. A follower that has not read them has a gap.

    :param cursors: of followers whose unread changes are kept, however old; those of other databases do not count.
    :raises Unsupported: for a backend without SQL tables.
    :raises SchemaMismatch: if the database has no log.
    """
    with connected(adapter, writes=True) as connection:
        log = _log(connection)
        if not log.exists(connection):
            raise no_log()
        return log.purge(connection, older_than, cursors)


def _log(connection: sa.Connection) -> _Log:
    return capture.sqlite if connection.dialect.name == "sqlite" else capture.postgres
