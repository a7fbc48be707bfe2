"""A writer that is killed leaves whole values, and all that it has acknowledged.

Files and SQLite, whose writers are the database; with ``STORAGE_KILLS`` every place, that many times.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.core.backend import StoreBackend
from storage.core.store import Store
from tests.storage.contract.places import PLACES
from tests.storage.contract.places import Place
from tests.storage.writers import LENGTH
from tests.storage.writers import Recipe
from tests.storage.writers import write_on
from tests.storage.writers import writer

KILLS = int(os.environ.get("STORAGE_KILLS", "0"))
KEYS = 5

ALL = ["file", "redis", "s3", "cosmos", "qdrant", "sqlite", "postgresql", "supabase_http", "convex"]


@pytest.fixture(scope="module", params=ALL if KILLS else ["file", "sqlite"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with PLACES[request.param](request) as found:
        yield found


@pytest.fixture
def backend(place: Place, tmp_path: Path) -> StoreBackend:
    return place.make(tmp_path)


def test_what_was_acknowledged_is_whole_after_the_writer_was_killed(place: Place, backend: StoreBackend) -> None:
    assert place.recipe is not None
    store = Store(backend)
    for kill in range(KILLS or 1):
        store.clear()
        acknowledged = _killed_after(place.recipe(backend), 25 + 7 * kill % 100)
        found = {key: store.load(key) for key in list(store.keys())}
        assert all(len(value) == LENGTH and len(set(value)) == 1 for value in found.values())
        # The one behind it may be there, too: its answer had no time to come.
        newest = {f"key {number % KEYS}": number for number in acknowledged}
        assert all(found[key][0] in {number, acknowledged[-1] + 1} for key, number in newest.items())


def _killed_after(recipe: Recipe, lines: int) -> list[int]:
    """What a writer acknowledged before it was killed."""
    with writer(write_on, KEYS, recipe) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        told += process.stdout.readlines()
    return [int(line) for line in told if line.endswith(b"\n")]
