"""What nobody needs of sessions any more, taken away: ``flask auth purge-sessions``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

import click
from flask import current_app
from flask.cli import with_appcontext

from auth.sessions.sessions import SESSIONS
from auth.sessions.sessions import TOKENS
from database.adapters.face import Database
from database.core.clock import utc_now
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.errors import Unavailable
from database.core.operations import Delete
from database.core.operations import Select
from database.core.query import Filter
from database.core.query import Where
from database.core.result import Row

KEPT: Final = timedelta(days=7)
"""How long an ended session is kept: longer than any access token lives, which is refused for its sake."""

_PART: Final = 500
"""Not every database deletes any number of rows at once."""


def purge(database: Database, idle: timedelta) -> tuple[int, int]:
    """Delete sessions that have been over for a week, and refresh tokens that were used longer ago than ``idle``.

    It may be interrupted and run again, also while the sessions are in use.

    :param idle: how long a session lasts without a refresh.
    :returns: how many sessions and tokens are gone.
    """
    before = utc_now() - KEPT
    over = Where("ended_at", "lt", before) | Where("expires_at", "lt", before)
    over |= Where("last_used_at", "lt", before - idle)
    sessions = tokens = 0
    with acting_as(SERVICE):
        for ids in _parts(database, SESSIONS, over):
            tokens += _delete(database, TOKENS, Where("session_id", "in", ids))
            sessions += database.run(Delete(SESSIONS, where=Where("id", "in", ids))).count or 0
        tokens += _delete(database, TOKENS, Where("used_at", "lt", utc_now() - idle))
    return sessions, tokens


@click.command("purge-sessions")
@with_appcontext
def purge_sessions() -> None:
    """Delete what is left of sessions that are long over."""
    manager = current_app.extensions["isthmus"].manager
    sessions, tokens = purge(manager, timedelta(seconds=manager.settings.auth_session_idle_seconds))
    click.echo(f"Deleted {sessions} sessions and {tokens} refresh tokens.")


def _delete(database: Database, table: str, where: Filter) -> int:
    deleted = 0
    for ids in _parts(database, table, where):
        deleted += database.run(Delete(table, where=Where("id", "in", ids))).count or 0
    return deleted


def _parts(database: Database, table: str, where: Filter) -> Iterator[list[str]]:
    """The ids of the rows that match, some at a time; whoever takes them deletes them."""
    while rows := _asked(database, Select(table, ("id",), where, limit=_PART)):
        yield [row["id"] for row in rows]


def _asked(database: Database, query: Select) -> list[Row]:
    result = database.run(query)
    if result.source is not None:
        raise Unavailable("the database that keeps the sessions is not available; what another one knows may be old")
    return result.rows
