"""Tables in memory whose line is cut, whose feed is unruly, and that are restored from backups."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from typing import Literal

import sqlalchemy as sa

from database import internal_tables
from database.adapter.backend import Setup
from database.adapter.transactions import Session
from database.backends.memory import MemoryAdapter
from database.backends.memory.log import ChangeLog
from database.backends.memory.log import LoggedTables
from database.changes.feed import Change
from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.columns import record_columns
from database.columns import table_metadata
from database.columns import text
from database.core.context import Context
from database.core.errors import OutcomeUnknown
from database.core.errors import Unavailable
from database.core.operations import Operation
from database.core.result import Result
from database.core.tables.schema import Schema
from tests.integration.sync.support import MortalMemoryBackend

FeedMode = Literal["in order", "backwards", "again", "swapped"]

FEED_MODES: Final[tuple[FeedMode, ...]] = ("in order", "backwards", "again", "swapped")
"""How the entries of a feed come: ``again`` with those before them, and twice; ``swapped``, a later page first."""

_PAGE: Final = 2
"""Entries of the pages that are swapped."""

metadata = table_metadata()
sa.Table("molecules", metadata, *record_columns(), sa.Column("name", text()), sa.Column("formula", text()))
sa.Table("protocols", metadata, *record_columns(), sa.Column("name", text()))
sa.Table(
    "slots",
    metadata,
    sa.Column("id", text(255), primary_key=True),
    sa.Column("place", sa.Integer, unique=True),
    sa.Column("code", text(8), unique=True),
)
SCHEMA: Final = Schema.of(metadata, internal_tables.metadata)


@dataclass(frozen=True, slots=True)
class Backup:
    """The state of a database at some time."""

    tables: LoggedTables
    entries: tuple[Change, ...]
    end: int


class UnrulyBackend(MortalMemoryBackend):
    """Tables in memory, in a process that may be killed, behind a line that may be cut.

    :ivar calls: how many calls still get through; None for any number.
    :ivar loses_replies: whether the transaction that is then committed is known to be none, or its reply is lost.
    :ivar feed: how the entries of the feed come.
    """

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self.calls: int | None = None
        self.loses_replies = False
        self.feed: FeedMode = "in order"

    def execute(self, operation: Operation, context: Context) -> Result:
        self._reach()
        if isinstance(operation, ReadChanges):
            return Result(value=_page(self._log, operation.cursor, operation.limit, self.feed))
        return super().execute(operation, context)

    def open_session(self, context: Context) -> Session:
        self._reach()
        return super().open_session(context)

    def open_reading_session(self, context: Context) -> Session:
        self._reach()
        return super().open_reading_session(context)

    def backup(self) -> Backup:
        """The present state."""
        return Backup(self._tables, tuple(self._log._entries), self._log._end)

    def restore(self, backup: Backup) -> None:
        """Forget everything since a backup."""
        self._tables, self._log = backup.tables, ChangeLog()
        self._log._entries.extend(backup.entries)
        self._log._end = backup.end

    @contextmanager
    def direct(self) -> Iterator[None]:
        """Whoever calls during the block does not need the line."""
        calls, self.calls = self.calls, None
        try:
            yield
        finally:
            self.calls = calls

    def _publish(self, tables: LoggedTables) -> None:
        if self.calls == 0 and not self.loses_replies:
            raise Unavailable("the line is cut", backend=self.name)
        super()._publish(tables)
        if self.calls == 0:
            raise OutcomeUnknown("the line is cut", backend=self.name)

    def _reach(self) -> None:
        if self.calls == 0:
            raise Unavailable("the line is cut", backend=self.name)
        if self.calls is not None:
            self.calls -= 1


class UnrulyMemory(MemoryAdapter):
    """An adapter on that backend, which tries nothing twice."""

    backend_class = UnrulyBackend
    backend: UnrulyBackend

    def __init__(self, name: str) -> None:
        super().__init__({"retry_count": 0, "circuit_breaker_threshold": 0}, SCHEMA, name)


def _page(log: ChangeLog, cursor: str | None, limit: int, mode: FeedMode) -> Changes:
    """A page of a feed; the cursor between two pages that are swapped names all three places."""
    if cursor is not None and "-" in cursor:
        start, middle, end = cursor.split("-")
        first = log.page(start, int(middle) - int(start))
        return Changes(first.changes, end, more=True, gap=first.gap)
    if cursor is None or mode == "in order":
        return log.page(cursor, limit)
    page = log.page(cursor, _PAGE if mode == "swapped" else limit)
    if page.gap or mode == "backwards":
        return Changes(page.changes[::-1], page.cursor, page.more, page.gap)
    if mode == "again":
        before = log.page(str(max(0, int(cursor) - _PAGE)), _PAGE).changes
        return Changes((*before, *page.changes, *page.changes), page.cursor, page.more, page.gap)
    later = log.page(page.cursor, _PAGE)
    if not later.changes:
        return page
    return Changes(later.changes, f"{cursor}-{page.cursor}-{later.cursor}", more=True, gap=later.gap)
