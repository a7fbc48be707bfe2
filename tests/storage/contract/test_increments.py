"""Increments by several at once are exact where versions are declared.

In threads; in as many processes as ``STORAGE_PROCESSES`` says, ``STORAGE_INCREMENTS`` each, if it is set.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from storage.core.store import Store
from tests.storage.contract.places import Place
from tests.storage.writers import Recipe
from tests.storage.writers import count_up
from tests.storage.writers import writer

PROCESSES = int(os.environ.get("STORAGE_PROCESSES", "0"))
INCREMENTS = int(os.environ.get("STORAGE_INCREMENTS", "5"))
THREADS = 2


def test_increments_are_exact(store: Store, place: Place) -> None:
    assert store.capabilities.versions
    store.put("counter", 0)
    if PROCESSES and place.recipe is not None:
        in_processes(place.recipe(store.backend), PROCESSES, INCREMENTS)
        assert store.load("counter") == PROCESSES * INCREMENTS
        return
    with ThreadPoolExecutor(THREADS) as threads:
        list(threads.map(lambda _: count_up(store, INCREMENTS), range(THREADS)))
    assert store.load("counter") == THREADS * INCREMENTS


def in_processes(recipe: Recipe, processes: int, times: int) -> None:
    with ExitStack() as started:
        writers = [started.enter_context(writer(count_up, times, recipe)) for _ in range(processes)]
        assert [process.wait() for process in writers] == [0] * processes
