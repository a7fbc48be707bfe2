"""The running application deletes what is old and needed by nobody."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from typing import Final

import pytest
import sqlalchemy as sa

from api.http.idempotency import TABLE as KEYS
from auth.sessions.purging import KEPT
from auth.sessions.sessions import SESSIONS
from database.adapter.base import DatabaseAdapter
from database.backends.memory import MemoryAdapter
from database.core.clock import utc_now
from database.core.context import as_application
from database.core.operations import Insert
from database.schema.sqlalchemy_engine import connected
from database.sync import SyncManager
from database.sync.checkpoint import followers
from tests.contract.following import told
from tests.integration.http.support import Site
from tests.integration.http.support import make_site
from tests.integration.http.support import supabase_settings
from tests.integration.http.support import wait_until
from tests.servers.supabase_api import add_roles

ROWS: Final = int(os.environ.get("PURGE_ROWS", "1200"))
"""Idempotency keys, and sessions. More than are deleted at once; a busy day has some 100,000."""

RECORDS: Final = 1200
"""Of those that a sync reads, and of those that it has still to read."""

_LOG: Final = {"sqlite": "isthmus_changes", "postgresql": "isthmus_changes.entries"}
_SIZE: Final = {"sqlite": "count(*)", "postgresql": "coalesce(sum(cardinality(record_ids)), 0)"}
_OLDER: Final = {
    "sqlite": "datetime(at, '-1 years')",
    "postgresql": "at - interval '1 year'",
}


@pytest.fixture(params=["sqlite", "supabase"])
def purging_site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    """The application that purges with every request, on SQLite and on a Supabase project's database."""
    settings: dict[str, object] = {"PURGE_INTERVAL": "0.01", "DB_CHANGES_KEPT": "3600"}
    if request.param == "supabase":
        database = request.getfixturevalue("postgres_database")
        add_roles(database)
        settings |= supabase_settings(database)
    with closing(make_site(tmp_path, **settings)) as site:
        yield site


def log_size(adapter: DatabaseAdapter) -> int:
    with connected(adapter, writes=False) as connection:
        kind = connection.dialect.name
        return int(connection.exec_driver_sql(f"select {_SIZE[kind]} from {_LOG[kind]}").scalar_one())


def make_log_older(adapter: DatabaseAdapter) -> None:
    with connected(adapter, writes=True) as connection:
        kind = connection.dialect.name
        connection.execute(sa.text(f"update {_LOG[kind]} set at = {_OLDER[kind]}"))


def make_rows(site: Site, table: str, rows: list[dict[str, Any]]) -> None:
    with as_application():
        for start in range(0, len(rows), 1000):
            site.manager.run(Insert(table, rows[start : start + 1000], returning=False))


def count(site: Site, table: str) -> int:
    with as_application():
        return site.manager.table(table).select("id", count=True).limit(0).execute().count or 0


def make_old_rows(site: Site) -> None:
    """What many requests and sign-ins of long ago have left behind."""
    before = utc_now() - KEPT - timedelta(days=1)
    session = {"user_id": "u", "last_used_at": before, "expires_at": before, "ended_at": before}
    make_rows(site, SESSIONS, [session for _ in range(ROWS)])
    make_rows(site, KEYS, [{"fingerprint": "f", "status": 201, "headers": {}, "body": "secret"} for _ in range(ROWS)])
    with connected(site.manager.adapter, writes=True) as connection:
        old = "'2020-01-01T00:00:00.000000Z'"
        place = "isthmus_private." if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"update {place}{KEYS} set created_at = {old}")


def keep_asking(site: Site) -> bool:
    """Whether nothing is left that should be purged, after one more request."""
    site.get("/livez")
    return (count(site, KEYS), count(site, SESSIONS)) == (1, 1)


def test_what_is_old_is_purged_and_nothing_that_a_follower_needs(purging_site: Site) -> None:
    site = purging_site
    ada = site.register("ada")
    here = site.manager.adapter
    there = MemoryAdapter(name="there")
    sync = SyncManager(here, there, sync_tables=["molecules"])
    assert sync.sync_all()
    make_rows(site, "molecules", [{"id": f"read-{n}", "name": "x"} for n in range(RECORDS)])
    assert sync.sync_all()
    make_log_older(here)
    with as_application():
        live = here.changes().cursor
    # From here on nobody has read it; and all of it is as old.
    make_rows(site, "molecules", [{"id": f"unread-{n}", "name": "x"} for n in range(RECORDS)])
    make_log_older(here)
    make_old_rows(site)
    kept = site.post("/api/molecules", {"name": "Water"}, {**ada, "Idempotency-Key": "today"})
    assert kept.status_code == 201

    wait_until(lambda: keep_asking(site), "old rows are not purged")
    wait_until(lambda: site.get("/livez").status_code == 200 and log_size(here) <= RECORDS + 3, "the log is not purged")

    with as_application():
        unread = told(here, live)
        # Of memory a cursor is a number.
        gaps = [here.changes(cursor).gap for one in followers(here) for cursor in one.cursors if not cursor.isdigit()]
    assert len(unread) == RECORDS + 1
    assert gaps == [False]
    again = site.post("/api/molecules", {"name": "Water"}, {**ada, "Idempotency-Key": "today"})
    assert again.headers["Idempotency-Replayed"] == "true"
    assert sync.sync_all()
    with as_application():
        assert len(there.table("molecules").execute()) == 2 * RECORDS + 1


def test_the_log_is_not_kept_for_a_sync_that_is_gone(purging_site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site = purging_site
    here, there = site.manager.adapter, MemoryAdapter(name="there")
    sync = SyncManager(here, there, sync_tables=["molecules"])
    assert sync.sync_all()
    make_rows(site, "molecules", [{"id": f"unread-{n}", "name": "x"} for n in range(3)])
    make_log_older(here)
    site.get("/livez")
    assert site.get("/status").json["syncs_gone"] == {}
    (follower,) = followers(here)
    name = next(iter(site.manager.adapters))
    with connected(here, writes=True) as connection:
        place = "isthmus_private." if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(f"update {place}isthmus_sync_cursors set updated_at = '2020-01-01T00:00:00.000000Z'")
    wait_until(lambda: site.get("/status").json["syncs_gone"] == {name: [follower.pair]}, "the status does not tell")
    wait_until(lambda: site.get("/livez").status_code == 200 and log_size(here) < 3, "the log is not purged")
    told = [record.getMessage() for record in caplog.records if "is no longer kept" in record.getMessage()]
    assert len(told) == 1
    with as_application():
        assert here.changes(follower.cursors[0]).gap
    # It returns, and misses nothing.
    assert sync.sync_all()
    with as_application():
        assert len(there.table("molecules").execute()) == 3


def test_old_conflicts_are_deleted(purging_site: Site) -> None:
    site = purging_site
    entry = {"pair": "a:b", "table_name": "molecules", "record_id": "m"}
    make_rows(site, "isthmus_sync_conflicts", [entry | {"rule": "merge"}, entry | {"rule": "manual", "state": "open"}])
    with connected(site.manager.adapter, writes=True) as connection:
        place = "isthmus_private." if connection.dialect.name == "postgresql" else ""
        connection.exec_driver_sql(
            f"update {place}isthmus_sync_conflicts set created_at = '2020-01-01T00:00:00.000000Z'"
        )
    make_rows(site, "isthmus_sync_conflicts", [entry | {"rule": "manual"}])
    wait_until(
        lambda: site.get("/livez").status_code == 200 and count(site, "isthmus_sync_conflicts") == 2,
        "old conflicts are not purged",
    )
    with as_application():
        kept = site.manager.table("isthmus_sync_conflicts").select("rule", "state").execute().rows
    assert {(row["rule"], row["state"]) for row in kept} == {("manual", None), ("manual", "open")}
