"""Records of the application's tables while a database fails, and what somebody else has made of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.core.context import as_application
from storage import MemoryEntries
from storage import StorageConnectionError
from storage import StorageCorruptError
from storage import StorageOutcomeUnknown
from storage import Store
from stores import Experiments
from tests.stores.experiments.places import SCHEMA


@pytest.fixture
def adapter() -> Iterator[FaultyAdapter]:
    made = FaultyAdapter(MemoryAdapter(schema=SCHEMA), config={"retry_count": 1})
    with as_application():
        yield made
    made.disconnect()


@pytest.fixture
def experiments(adapter: FaultyAdapter) -> Experiments:
    return Experiments.on_tables(adapter)


def test_a_record_whose_answer_was_lost_is_sent_again(experiments: Experiments, adapter: FaultyAdapter) -> None:
    for fault in ("cut", "error_after_commit"):
        with adapter.faults.expected(fault):
            experiments.save(f"episode:{fault}", {"reward": 1})
        assert experiments.load(f"episode:{fault}") == {"reward": 1}


def test_a_run_whose_answer_was_lost_is_started_and_completed_once(
    experiments: Experiments, adapter: FaultyAdapter
) -> None:
    # The first call reads the run.
    with adapter.faults.expected("error_after_commit", skip=1):
        experiments.start_optimization_run("r", "search", "mab")
    with adapter.faults.expected("error_after_commit", skip=1):
        experiments.complete_optimization_run("r", total_generations=5)
    run = experiments.get_optimization_run("r")
    assert run is not None
    assert (run["status"], run["system_name"], run["total_generations"]) == ("completed", "search", 5)


def test_an_outage_is_no_missing_record(experiments: Experiments, adapter: FaultyAdapter) -> None:
    experiments.save("run:r", {"status": "started"})
    with adapter.faults.expected("refuse", "refuse"), pytest.raises(StorageConnectionError):
        experiments.exists("run:r")
    with adapter.faults.expected("cut", "cut"), pytest.raises(StorageOutcomeUnknown):
        experiments.save("run:r", {"status": "completed"})
    assert experiments.load("run:r") == {"status": "started"}


@pytest.mark.parametrize("text", ["{", "[1]", "{}", ""])
def test_a_spoiled_record_costs_itself_only(experiments: Experiments, adapter: FaultyAdapter, text: str) -> None:
    for key in ("episode:1", "episode:2"):
        experiments.save(key, {"reward": 1})
    adapter.table("rl_data").update({"record": text}).eq("rl_key", "episode:1").execute()
    with pytest.raises(StorageCorruptError, match="episode:1"):
        experiments.load("episode:1")
    assert experiments.list_keys() == ["episode:1", "episode:2"]
    assert experiments.load("episode:2") == {"reward": 1}
    experiments.save("episode:1", {"reward": 2})
    assert experiments.load("episode:1") == {"reward": 2}


def test_something_else_in_a_store_is_no_record() -> None:
    store = Store(MemoryEntries())
    experiments = Experiments.on_store(store)
    for key, value in {"run:1": [1], "episode:1": {"reward": 1}}.items():
        store.put(key, value)
    with pytest.raises(StorageCorruptError, match="run:1"):
        experiments.complete_optimization_run("1")
    with pytest.raises(StorageCorruptError, match="episode:1"):
        experiments.load("episode:1")
