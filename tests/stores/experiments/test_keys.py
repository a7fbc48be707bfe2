"""Keys of records: those that look alike are kept apart, in all kinds of records."""

from __future__ import annotations

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from storage import MemoryEntries
from storage import StorageKeyError
from storage import Store
from storage.core.keys import without_nul
from stores import Experiments
from tests.storage.contract.test_keys import HOSTILE
from tests.stores.experiments.places import Place

IDS = [one for one in HOSTILE if len(without_nul(one)) < 240]
PREFIXES = ("episode", "experiment", "run")


def test_hostile_ids_are_kept_apart(experiments: Experiments, place: Place) -> None:
    keys = [f"{PREFIXES[number % 3]}:{one}" for number, one in enumerate(IDS[::20] if place.is_far else IDS)]
    for number, key in enumerate(keys):
        experiments.save(key, {"number": number})
    assert experiments.list_keys() == sorted(keys)
    assert [experiments.load(key)["number"] for key in keys[::7]] == list(range(0, len(keys), 7))
    for prefix in ("episode:a", "experiment:%", "run:", "e", ""):
        meant = [key for key in sorted(keys) if key.startswith(prefix)]
        assert experiments.list_keys(prefix) == meant
        assert experiments.clear(prefix) == len(meant)
        keys = [key for key in keys if key not in meant]
    assert experiments.count() == 0


def test_pages_have_every_key_once(experiments: Experiments) -> None:
    keys = sorted(f"{prefix}:{number}" for prefix in ("trajectory", *PREFIXES) for number in range(2))
    for key in keys:
        experiments.save(key, {})
    found, cursor = experiments.page(limit=3)
    while cursor is not None:
        more, cursor = experiments.page(cursor=cursor, limit=3)
        found += more
    assert found == keys
    assert experiments.page("run:", cursor="run", limit=1) == (["run:0"], "run:0")
    for limit in (0, 1_000):
        with pytest.raises(StorageKeyError, match="limit"):
            experiments.page(limit=limit)


def test_what_others_keep_in_the_store_stays() -> None:
    store = Store(MemoryEntries())
    store.put("audit:1", 1)
    experiments = Experiments.on_store(store)
    experiments.save("episode:1", {})
    assert (experiments.list_keys(), experiments.clear()) == (["episode:1"], 1)
    assert list(store.keys()) == ["audit:1"]


class _UndoneError(Exception):
    pass


def change_and_fail(experiments: Experiments, database: DatabaseAdapter) -> None:
    with as_application(), database.transaction():
        experiments.save("run:1", {"status": "completed"})
        experiments.start_optimization_run("2", "search", "mab")
        experiments.complete_optimization_run("2", total_generations=1)
        assert experiments.list_keys() == ["run:1", "run:2"]
        assert experiments.load("run:2")["total_generations"] == 1
        raise _UndoneError


def test_records_in_tables_join_the_transaction(experiments: Experiments, place: Place) -> None:
    if place.database is None:
        return
    experiments.save("run:1", {"status": "started"})
    with pytest.raises(_UndoneError):
        change_and_fail(experiments, place.database)
    assert experiments.list_keys() == ["run:1"]
    assert experiments.load("run:1") == {"status": "started"}
