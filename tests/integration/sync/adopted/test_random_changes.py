"""Adopted databases stay equal, whoever works on them and how.

``SYNC_CHANGES=2000 SYNC_SEED=7 .venv/bin/pytest tests/integration/sync/adopted`` runs it at full size; a failure prints
its seed.
"""

from __future__ import annotations

import os
import sys

from database.core.context import as_application
from database.sync import SyncManager
from tests.integration.sync.adopted.conftest import Place
from tests.integration.sync.adopted.work import Worker
from tests.integration.sync.support import journal

CHANGES = int(os.environ.get("SYNC_CHANGES", "120"))
SEED = int(os.environ.get("SYNC_SEED", "1"))
EVERY = 30
"""Changes between two cycles."""

CYCLES = 4
"""The most until all is quiet: what a database makes of a row itself goes back."""


def test_both_sides_become_equal_and_nothing_is_lost(places: tuple[Place, Place]) -> None:
    sys.stdout.write(f"SYNC_SEED={SEED} SYNC_CHANGES={CHANGES}\n")
    worker = Worker(SEED, *places)
    first, second = (place.adapter for place in places)
    manager = SyncManager(first, second, sync_tables=worker.order)
    for _ in range(max(1, CHANGES // EVERY)):
        worker.work(EVERY)
        if manager.sync_all():
            worker.synced()
    for _ in range(CYCLES):
        assert manager.sync_all(), "\n".join([str(manager.get_sync_status()), *worker.log])
    for table in worker.order:
        assert places[0].rows(table) == places[1].rows(table), table
    assert sum(len(places[0].rows(table)) for table in worker.order) > CHANGES / 20
    with as_application():
        entries = journal(first, second)
    rows = [(entry["table_name"], row) for entry in entries for row in (entry["first_row"], entry["second_row"]) if row]
    assert worker.lost(rows) == set(), "\n".join(worker.log)
