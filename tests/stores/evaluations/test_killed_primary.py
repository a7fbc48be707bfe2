"""Writers at once, and a primary database that is killed under them: nothing acknowledged is lost, nothing is doubled.

``EVALUATION_WRITERS=100`` makes it 100 writers with 100 events each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from threading import Barrier

import pytest
from tenacity import Retrying
from tenacity import retry_if_exception_type
from tenacity import stop_after_delay
from tenacity import wait_fixed

from database.backends.postgres import PostgresAdapter
from database.core.errors import Unavailable
from storage import FileStorage
from stores import DatabaseStorage
from stores import FlexibleStorageManager
from stores import InMemoryStorage
from stores.evaluations.core import Evaluations
from stores.evaluations.places.on_tables import EvaluationsInTables
from tests.servers.postgres import PostgresServer
from tests.stores.evaluations.places import METADATA
from tests.stores.evaluations.places import SCHEMA

WRITERS = int(os.environ.get("EVALUATION_WRITERS", "8"))
EACH = 100 if WRITERS >= 100 else 12
SAFETY = 300
KILLED_AT = EACH // 3
STARTED_AT = 2 * EACH // 3


@pytest.fixture
def adapter(durable_postgres: PostgresServer) -> Iterator[PostgresAdapter]:
    database = durable_postgres.create_database()
    database.create(METADATA)
    made = PostgresAdapter({**asdict(database), "timeout": 60, "pool_timeout": 60}, SCHEMA)
    yield made
    made.disconnect()


def test_nothing_is_lost_when_the_primary_is_killed(
    adapter: PostgresAdapter, durable_postgres: PostgresServer, tmp_path: Path
) -> None:
    manager = FlexibleStorageManager(DatabaseStorage(adapter), FileStorage(tmp_path), InMemoryStorage())
    manager.create_evaluation("shared", "print(1)")
    together = Barrier(WRITERS + 1, timeout=SAFETY)

    def write(writer: int) -> None:
        for number in range(EACH):
            if number in {KILLED_AT, STARTED_AT}:
                together.wait()
            manager.add_event("shared", f"writer {writer}", str(number))
            if number % 4 == 1:
                manager.create_evaluation(f"{writer} {number}", "print(2)")
            if number % 4 == 2:
                manager.update_evaluation(f"{writer} {number - 1}", status="completed", output=f"{writer}")

    with ThreadPoolExecutor(WRITERS) as pool:
        writing = [pool.submit(write, writer) for writer in range(WRITERS)]
        together.wait()
        durable_postgres.kill()
        together.wait()
        assert manager.pending() > 0
        durable_postgres.start()
    assert [writer.exception() for writer in writing] == [None] * WRITERS
    # As soon as the circuit breaker lets calls through again.
    Retrying(retry=retry_if_exception_type(Unavailable), wait=wait_fixed(0.1), stop=stop_after_delay(SAFETY))(
        manager.heal
    )
    assert (manager.pending(), manager.refused()) == (0, [])
    # The primary itself, without fallback and cache.
    primary = Evaluations(EvaluationsInTables(adapter))
    events = [event for event in primary.all_events("shared") if event.event_type != "submitted"]
    assert len(events) == WRITERS * EACH
    for writer in range(WRITERS):
        mine = [int(event.message) for event in events if event.event_type == f"writer {writer}"]
        assert mine == list(range(EACH))
    statuses = Counter(one.status for one in primary.every())
    made = WRITERS * len(range(1, EACH, 4))
    ended = WRITERS * len(range(2, EACH, 4))
    assert statuses == Counter(completed=ended, queued=made - ended + 1)
    for one in primary.every(status="completed"):
        types = [event.event_type for event in primary.events(one.id)]
        assert (types, manager.get_evaluation(one.id)["status"]) == (["submitted", "status_changed"], "completed")
