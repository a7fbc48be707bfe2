"""Sessions on a database of each kind, and a look at what is stored of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from datetime import timedelta
from typing import Any

from auth.sessions.sessions import SESSIONS
from auth.sessions.sessions import TOKENS
from auth.sessions.sessions import Sessions
from database.adapter.base import DatabaseAdapter
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.operations import Select
from database.core.result import Row
from tests.servers.postgres import PostgresDatabase

TIMEOUT = 20  # seconds; only a broken database needs them
IDLE = timedelta(days=14)
LIFETIME = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Store:
    """A database with the application's tables and no rows.

    :ivar connect: makes another adapter for it.
    """

    connect: Callable[[], DatabaseAdapter]


def make_sessions(adapter: DatabaseAdapter, clock: Callable[[], datetime], **more: Any) -> Sessions:
    return Sessions(adapter, idle=IDLE, lifetime=LIFETIME, now=clock, **more)


def stored(adapter: DatabaseAdapter, table: str) -> list[Row]:
    """All rows of a table, as the service sees them."""
    with acting_as(SERVICE):
        return adapter.run_alone(Select(table)).rows


def session_row(adapter: DatabaseAdapter, session_id: str) -> Row:
    (row,) = (row for row in stored(adapter, SESSIONS) if row["id"] == session_id)
    return row


def unused_tokens(adapter: DatabaseAdapter) -> list[str]:
    """The ids of the refresh tokens that have not been exchanged."""
    return [row["id"] for row in stored(adapter, TOKENS) if row["used_at"] is None]


def empty(database: PostgresDatabase) -> None:
    database.execute(f"set search_path = isthmus_private; truncate {SESSIONS}, {TOKENS}, isthmus_users")
