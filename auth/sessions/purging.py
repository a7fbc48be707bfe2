"""Deletion of old sessions and refresh tokens, by the application itself and by ``flask auth purge-sessions``."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import click
from flask.cli import with_appcontext

from auth.sessions.sessions import SESSIONS
from auth.sessions.sessions import TOKENS
from database.adapter.interface import Database
from database.core.clock import utc_now
from database.core.context import as_application
from database.core.query.filters import Where
from database.extension import current_database
from database.purging import delete
from database.purging import delete_in_parts
from database.purging import ids_in_parts

KEPT: Final = timedelta(days=7)
"""How long an ended session is kept. Longer than the lifetime of any access token, which is rejected because of it."""


def purge(database: Database, idle: timedelta) -> tuple[int, int]:
    """Delete sessions that ended or expired a week ago, and refresh tokens that were used longer ago than ``idle``.

    It is safe to interrupt it, to run it again, and to run it while sessions are in use.

    :param idle: how long a session lasts without a refresh.
    :returns: the numbers of deleted sessions and refresh tokens.
    """
    before = utc_now() - KEPT
    over = Where("ended_at", "lt", before) | Where("expires_at", "lt", before)
    over |= Where("last_used_at", "lt", before - idle)
    sessions = tokens = 0
    with as_application():
        for ids in ids_in_parts(database, SESSIONS, over):
            tokens += delete_in_parts(database, TOKENS, Where("session_id", "in", ids))
            sessions += delete(database, SESSIONS, ids)
        tokens += delete_in_parts(database, TOKENS, Where("used_at", "lt", utc_now() - idle))
    return sessions, tokens


@click.command("purge-sessions")
@with_appcontext
def purge_sessions() -> None:
    """Delete sessions that ended or expired a week ago, and old refresh tokens."""
    manager = current_database()
    sessions, tokens = purge(manager, timedelta(seconds=manager.settings.auth_session_idle_seconds))
    click.echo(f"Deleted {sessions} sessions and {tokens} refresh tokens.")
