"""Nothing is lost, nothing is told twice, and no row's history is told in another order, whoever writes meanwhile."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from threading import Event
from threading import Thread

from database.backends.postgres import PostgresAdapter
from database.changes.feed import Change
from database.core.clock import monotonic
from tests.integration.postgres.changes.writers import writing
from tests.integration.postgres.conftest import Make
from tests.servers.postgres import PostgresDatabase

WRITERS = 8
SECONDS = 1.5

Histories = dict[str, list[str]]


class Follower(Thread):
    """Reads the feed in small pages until it has come to its end after ``ended``."""

    def __init__(self, adapter: PostgresAdapter, cursor: str, limit: int, ended: Event) -> None:
        super().__init__(daemon=True)
        self.found: list[Change] = []
        self.gaps = 0
        self._adapter, self._cursor, self._limit, self._ended = adapter, cursor, limit, ended

    def run(self) -> None:
        while not (self._read() and self._ended.is_set() and self._read()):
            self._ended.wait(0.003)

    def _read(self) -> bool:
        """Read a page; whether it was the last."""
        page = self._adapter.changes(self._cursor, self._limit)
        self.found += page.changes
        self.gaps += page.gap
        self._cursor = page.cursor
        return not page.changes and not page.more


def test_followers_see_every_change_once_and_those_of_a_row_in_order(make: Make, database: PostgresDatabase) -> None:
    adapter = make(database)
    start, ended, deadline = adapter.changes().cursor, Event(), monotonic() + SECONDS
    followers = [Follower(adapter, start, limit, ended) for limit in (3, 40)]
    with writing(database, WRITERS) as stop:
        for follower in followers:
            follower.start()
        stop.wait(max(0.0, deadline - monotonic()))
    ended.set()
    logged = _logged(adapter)
    assert sum(map(len, logged.values())) > 100
    for follower in followers:
        follower.join(60)
        assert follower.gaps == 0
        assert _histories((change.id, change.kind) for change in follower.found) == logged
    assert sorted(name for name, kinds in logged.items() if kinds[-1] != "delete") == [
        row["id"] for row in adapter.table("notes").execute()
    ]


def _logged(adapter: PostgresAdapter) -> Histories:
    """What has happened to each row, in the order in which it was locked."""
    query = "select unnest(record_ids) as record_id, kind from isthmus_changes.entries order by seq"
    rows = adapter.execute_query(query)
    return _histories((row["record_id"], row["kind"]) for row in rows)


def _histories(changes: Iterable[tuple[str, str]]) -> Histories:
    histories: defaultdict[str, list[str]] = defaultdict(list)
    for name, kind in changes:
        histories[name].append(kind)
    return dict(histories)
