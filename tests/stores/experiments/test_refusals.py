"""Keys and records that no place takes: they are refused before anything is sent."""

from __future__ import annotations

from typing import Any

import pytest

from storage import MemoryEntries
from storage import StorageKeyError
from storage import StorageSerializationError
from storage import Store
from stores import Experiments


@pytest.fixture
def experiments() -> Experiments:
    return Experiments.on_store(Store(MemoryEntries()))


@pytest.mark.parametrize("key", ["audit:1", "episode", "episode:", "optimization:best", "EPISODE:1", "", "experiment"])
def test_other_keys_are_refused(experiments: Experiments, key: str) -> None:
    for call in (lambda: experiments.save(key, {}), lambda: experiments.load(key), lambda: experiments.delete(key)):
        with pytest.raises(StorageKeyError):
            call()
    assert experiments.count() == 0


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("episode:1", [1], "must be a dictionary"),
        ("episode:1", None, "must be a dictionary"),
        ("episode:1", {"reward": "high"}, "the field reward_score of a record must be a number"),
        ("episode:1", {"timestamp": "yesterday"}, "the field episode_timestamp"),
        ("episode:1", {"agent_id": 7}, "the field agent_id"),
        ("episode:1", {"station": "s" * 256}, "the field station"),
        ("episode:1", {"success": "yes"}, "the field success"),
        ("experiment:1", {"passed": 1}, "the field passed"),
        ("experiment:1", {"experiment_score": True}, "the field experiment_score"),
        ("experiment:1", {"generation": 1.5}, "the field generation"),
        ("run:1", {"total_generations": 2**63}, "the field total_generations"),
        ("run:1", {"status": 1}, "the field status"),
        ("run:1", {"a": object()}, "not JSON serializable"),
    ],
)
def test_a_field_of_another_type_is_refused(experiments: Experiments, key: str, value: Any, message: str) -> None:
    with pytest.raises(StorageSerializationError, match=message):
        experiments.save(key, value)
    assert not experiments.exists(key)


def test_fields_that_contradict_each_other_are_refused(experiments: Experiments) -> None:
    with pytest.raises(StorageKeyError, match="another run_id"):
        experiments.save("run:a", {"run_id": "b"})
    with pytest.raises(StorageKeyError, match="is of the type 'episode', not of 'trajectory'"):
        experiments.save_rl_data("episode:1", "trajectory", "a", 0, {})
    with pytest.raises(StorageKeyError, match="no reinforcement-learning data"):
        experiments.save_rl_data("run:1", "episode", "a", 0, {})
    with pytest.raises(StorageSerializationError, match="must be a dictionary"):
        experiments.save_rl_data("episode:1", "episode", "a", 0, [])  # type: ignore[arg-type]
    with pytest.raises(StorageSerializationError, match="two names of one field"):
        experiments.complete_optimization_run("r", winning_config={}, winning_config_snapshot={})
    assert experiments.count() == 0


def test_a_key_that_is_too_long_is_refused(experiments: Experiments) -> None:
    for prefix in ("experiment:", "run:"):
        experiments.save(prefix + "x" * 255, {})
        with pytest.raises(StorageKeyError, match="255"):
            experiments.save(prefix + "x" * 256, {})
    with pytest.raises(StorageKeyError, match="255"):
        experiments.save("episode:" + "x" * 248, {})
    with pytest.raises(StorageKeyError):
        experiments.get_experiment("")
