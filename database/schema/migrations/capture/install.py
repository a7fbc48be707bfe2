"""Creates, checks and purges the change log on every SQL database.

Every declared table except Isthmus's own gets triggers, so that the log also contains changes by other programs. Like
the access rules, all this is state, not history: it is created again after each run of migrations.
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
    """The implementation for one kind of database."""

    def apply(self, connection: sa.Connection, tables: Sequence[sa.Table]) -> None:
        """Create the log and the tables' triggers."""

    def differences(self, connection: sa.Connection, tables: Sequence[sa.Table]) -> list[str]:
        """What is missing or outdated, one line each."""

    def followed(self, connection: sa.Connection) -> set[str]:
        """The names of the tables that have triggers."""

    def remove(self, connection: sa.Connection, table: sa.Table) -> None:
        """Drop the table's triggers."""

    def exists(self, connection: sa.Connection) -> bool:
        """Whether the log exists."""

    def purge(self, connection: sa.Connection, older_than: timedelta, cursors: Sequence[str]) -> int:
        """Delete entries that are older and before all of these cursors; returns their number."""


def apply(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Create the log and the triggers of the declared ``tables`` that the database has; may be run again."""
    found = set(sa.inspect(connection).get_table_names())
    _log(connection).apply(connection, [table for table in captured(tables) if table.name in found])


def differences(connection: sa.Connection, tables: Iterable[sa.Table]) -> list[str]:
    """What is missing or outdated in the database's log, one line each; ignores tables that do not exist."""
    return _log(connection).differences(connection, captured(tables))


def asked(connection: sa.Connection, adopted: Iterable[sa.Table]) -> list[sa.Table]:
    """The adopted tables that have our triggers, because somebody asked for them."""
    followed = _log(connection).followed(connection)
    return [table for table in adopted if table.name in followed]


def remove(connection: sa.Connection, tables: Iterable[sa.Table]) -> None:
    """Drop the triggers of the tables."""
    for table in tables:
        _log(connection).remove(connection, table)


def supabase_statements(tables: Iterable[sa.Table], there: Container[str]) -> list[str]:
    """Repeatable SQL that does the same in a Supabase project whose tables are ``there``."""
    return capture.postgres.statements([table for table in captured(tables) if table.name in there], roles=True)


def purge(adapter: DatabaseAdapter, older_than: timedelta, cursors: Sequence[str] = ()) -> int:
    """Delete older changes; returns their number. A follower that has not read them gets a gap.

    :param cursors: cursors of followers whose unread changes are kept; cursors of other databases are ignored.
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
