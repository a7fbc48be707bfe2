"""Real databases stay equal while both are worked on, lines are cut, and servers are killed.

``SYNC_CHANGES=10000 SYNC_SEED=7 .venv/bin/pytest tests/integration/sync/real_pairs -s`` runs it at full size; a failure
prints its seed. The seed decides who does what in which order, and what fails; how far sync is then, it does not.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import pytest

from database.core.context import as_application
from database.core.operations import Select
from database.core.result import Row
from database.sync import SyncManager
from tests.integration.sync.real_pairs.places import Place
from tests.integration.sync.real_pairs.places import place
from tests.integration.sync.real_pairs.syncing import Syncing
from tests.integration.sync.real_pairs.trouble import Trouble
from tests.integration.sync.real_pairs.work import TABLES
from tests.integration.sync.real_pairs.work import Users
from tests.integration.sync.support import lost_rows
from tests.servers.postgres import PostgresServer

CHANGES = int(os.environ.get("SYNC_CHANGES", "60"))
SEED = int(os.environ.get("SYNC_SEED", "1"))
EVERY = 10
"""Changes for each thing that fails."""

RECORDS = max(15, CHANGES // 50)
"""Of each table, so that each is worked on several times on both sides."""

OPTIONS: dict[str, Any] = {"conflict_resolution": {"*": "last_modified", "protocols": "merge"}}
CYCLES = 4
"""The most until all is quiet."""


@pytest.fixture(params=["postgres-convex", "sqlite-postgres", "supabase-convex"])
def places(
    request: pytest.FixtureRequest, durable_postgres: PostgresServer, tmp_path: Path
) -> Iterator[tuple[Place, Place]]:
    with ExitStack() as parts:
        first, second = (place(kind, durable_postgres, tmp_path, parts) for kind in request.param.split("-"))
        yield first, second
        durable_postgres.start()


def everything(places: tuple[Place, Place]) -> dict[str, list[Row]]:
    """All rows of all tables on both sides, those of sync's own, too."""
    with as_application():
        return {
            f"{one.kind} {table.name}": one.adapter.run(Select(table.name)).rows
            for one in places
            for table in one.adapter.schema
        }


def work_in_trouble(places: tuple[Place, Place]) -> Users:
    """Have users work while sync runs, and while what it needs fails; at the end the sync is killed, too."""
    users, syncing = Users(Random(SEED), places, RECORDS), Syncing(places, **OPTIONS)
    trouble = Trouble(Random(SEED + 1), places, syncing)
    syncing.start()
    try:
        with ThreadPoolExecutor(1) as thread:
            for _ in range(CHANGES // EVERY):
                working = thread.submit(users.work, EVERY)
                trouble.strike()
                working.result()
                syncing.wait_for_a_cycle()
    finally:
        syncing.kill()
    sys.stdout.write(f"{dict(users.made)}, {syncing.cycles} cycles\n{dict(trouble.happened)}\n")
    return users


def test_both_sides_become_equal_and_nothing_is_lost(places: tuple[Place, Place]) -> None:
    began = monotonic()
    sys.stdout.write(f"SYNC_SEED={SEED} SYNC_CHANGES={CHANGES} {places[0].kind}-{places[1].kind}\n")
    users = work_in_trouble(places)
    first, second = (one.adapter for one in places)
    manager = SyncManager(first, second, **OPTIONS)
    for _ in range(CYCLES):
        assert manager.sync_all(), manager.get_sync_status()
    findings = manager.auditor(patience=5.0).run(lambda: False)
    assert findings.equal, findings.as_json()
    before = everything(places)
    for idle in (manager, SyncManager(first, second, **OPTIONS)):
        assert idle.sync_all()
    after = everything(places)
    assert after == before
    with as_application():
        journalled = [row["name"] for row in lost_rows(first, second)]
    rows = [((table, row["id"]), row["name"]) for table in TABLES for row in after[f"{places[0].kind} {table}"]]
    sys.stdout.write(
        f"audit: {findings.as_json()['equal']}, {findings.total('compared')} compared; {len(rows)} rows,"
        f" {len(journalled) // 2} conflicts in the journal, {monotonic() - began:.1f} s\n"
    )
    assert users.lost(rows, journalled) == set()
    assert rows
    assert journalled
