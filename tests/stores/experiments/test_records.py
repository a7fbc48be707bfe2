"""Records: what is stored, by key or by fields, is found as it was, by both."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from database.core.context import as_application
from database.core.operations import Select
from storage import StorageConflictError
from storage import StorageKeyError
from storage import StorageNotFoundError
from stores import Experiments
from tests.stores.experiments.places import Place

EPISODE: dict[str, Any] = {
    "agent_id": "agent_123",
    "station": "web_playground",
    "civilization_id": "civ_001",
    "timestamp": 1234567890,
    "reward": 0.85,
    "fitness_score": 0.90,
    "success": True,
    "state": {"level": 1, "at": datetime(2026, 1, 2, tzinfo=UTC), "$type": "own", "é": [b"\0", Decimal("0.10"), 2**70]},
}
EXPERIMENT: dict[str, Any] = {
    "experiment_id": "exp_001",
    "optimization_run_id": "run_abc",
    "system_name": "context_enrichment",
    "algorithm_name": "mab_evolution",
    "test_case_id": "test_001",
    "tested_config": {"threshold": 0.75, "limit": 10},
    "score": 0.92,
    "passed": True,
    "timestamp": 1234567890,
    "generation": 3,
    "latency_ms": 150,
    "cost_usd": 0.002,
    "metrics": {"recall": 1.0, "id": UUID(int=7)},
}
RUN: dict[str, Any] = {
    "run_id": "run_abc",
    "system_name": "context_enrichment",
    "algorithm_name": "mab_evolution",
    "status": "completed",
    "winning_config_id": "config_xyz",
    "winning_config": {"threshold": 0.75},
    "total_generations": 5,
    "convergence_achieved": True,
}
STARTED_RUN = {**{name: RUN[name] for name in ("run_id", "system_name", "algorithm_name")}, "status": "started"}
DATA_KEYS = {
    "episode:a1:web:000001": "episode",
    "trajectory:a1:7": "trajectory",
    "agent_legacy:a1": "agent_legacy",
    "training_run:t1": "training_run",
    "legacy:agent:a1": "agent_legacy",
    "legacy:civilization:c1": "agent_legacy",
    "rl_training:t1": "training_run",
}


def test_documented_records_come_back_with_all_fields_and_types(experiments: Experiments) -> None:
    for key in DATA_KEYS:
        experiments.save(key, EPISODE)
        assert repr(experiments.load(key)) == repr(EPISODE)
    experiments.save("experiment:exp_001", EXPERIMENT)
    experiments.save("run:run_abc", RUN)
    assert repr(experiments.load("experiment:exp_001")) == repr(EXPERIMENT)
    assert repr(experiments.load("run:run_abc")) == repr(RUN)
    assert experiments.list_keys() == sorted([*DATA_KEYS, "experiment:exp_001", "run:run_abc"])
    experiments.save("run:run_abc", {"notes": ["of another form"], "status": "paused"})
    assert experiments.load("run:run_abc") == {"notes": ["of another form"], "status": "paused"}


def test_what_is_saved_by_key_is_found_by_its_fields(experiments: Experiments) -> None:
    for key, record_type in list(DATA_KEYS.items())[::2]:
        experiments.save(key, EPISODE)
        assert experiments.get_rl_data_by_key(key) == {
            "rl_key": key,
            "rl_record_type": record_type,
            "agent_id": "agent_123",
            "episode_timestamp": 1234567890,
            "rl_episode_data": EPISODE,
            "civilization_id": "civ_001",
            "station": "web_playground",
            "reward_score": 0.85,
            "fitness_score": 0.90,
            "success": True,
        }
    experiments.save("experiment:exp_001", EXPERIMENT)
    experiments.save("run:run_abc", RUN)
    assert experiments.get_experiment("exp_001") == EXPERIMENT
    assert experiments.get_optimization_run("run_abc") == RUN
    assert experiments.get_rl_data_by_key("episode:none") is None
    assert experiments.get_experiment("none") is experiments.get_optimization_run("none") is None


def test_what_is_saved_by_its_fields_is_found_by_key(experiments: Experiments) -> None:
    experiments.save_rl_data("episode:1", "episode", "a1", 12, {"step": 1}, reward_score=0, self="kept", score=1)
    assert experiments.load("episode:1") == {"step": 1}
    found = experiments.get_rl_data_by_key("episode:1")
    assert found is not None
    assert (found["reward_score"], found["self"], found["score"], found["agent_id"]) == (0, "kept", 1, "a1")
    documented = {"score": "experiment_score", "passed": "test_passed", "timestamp": "experiment_timestamp"}
    documented |= {"generation": "generation_number", "metrics": "full_metrics"}
    given = {documented.get(name, name): part for name, part in EXPERIMENT.items()}
    experiments.save_experiment(**given, session_id="s", note="more")
    assert experiments.load("experiment:exp_001") == {**EXPERIMENT, "session_id": "s", "note": "more"}


def test_a_run_is_started_and_completed(experiments: Experiments) -> None:
    experiments.start_optimization_run("r:1", "search", "mab")
    experiments.start_optimization_run("r:1", "search", "evolution")
    started = {"run_id": "r:1", "system_name": "search", "algorithm_name": "evolution", "status": "started"}
    assert experiments.load("run:r:1") == started
    experiments.complete_optimization_run("r:1", winning_config_snapshot={"a": 1}, total_generations=5)
    completed = {**started, "status": "completed", "winning_config": {"a": 1}, "total_generations": 5}
    assert experiments.get_optimization_run("r:1") == completed
    with pytest.raises(StorageConflictError, match="completed already"):
        experiments.start_optimization_run("r:1", "search", "mab")
    assert experiments.load("run:r:1") == completed
    experiments.complete_optimization_run("unknown", convergence_achieved=False)
    assert experiments.load("run:unknown")["convergence_achieved"] is False
    assert experiments.load("run:unknown")["system_name"] == "unknown"


def test_nothing_of_concurrent_completions_is_lost(experiments: Experiments) -> None:
    experiments.start_optimization_run("r", "search", "mab")

    def complete(number: int) -> None:
        with as_application():
            experiments.complete_optimization_run("r", **{f"part_{number}": number})

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(complete, range(4)))
    assert {f"part_{number}" for number in range(4)} <= experiments.load("run:r").keys()


def test_what_is_missing(experiments: Experiments) -> None:
    for key in ("episode:1", "experiment:1", "run:1"):
        assert not experiments.exists(key)
        with pytest.raises(StorageNotFoundError):
            experiments.load(key)
        with pytest.raises(KeyError):
            experiments.load(key)
        assert not experiments.delete(key)
        experiments.save(key, {})
        assert experiments.exists(key)
        assert experiments.load(key) == {}
        assert experiments.delete_by_key(key)
        assert not experiments.exists(key)


def test_other_keys_are_kept_if_it_is_said(place: Place, tmp_path: Path) -> None:
    experiments = place.make(tmp_path, True)
    values: dict[str, Any] = {"audit:1": [b"any"], "episode": None, "zeta": 1, "run:1": {}, "episode:1": {}}
    for key, value in values.items():
        experiments.save(key, value)
    assert experiments.load("audit:1") == [b"any"]
    assert experiments.list_keys() == ["audit:1", "episode", "episode:1", "run:1", "zeta"]
    assert experiments.page(cursor="audit:1", limit=2) == (["episode", "episode:1"], "episode:1")
    assert experiments.list_keys("ep") == ["episode", "episode:1"]
    with pytest.raises(StorageKeyError):
        experiments.save("episode:", 1)
    assert (experiments.clear("episode"), experiments.count()) == (2, 3)
    experiments.close()


def test_moments_and_numbers_of_all_kinds(experiments: Experiments) -> None:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    values: list[dict[str, Any]] = [{"timestamp": one} for one in (at, at.isoformat(), 1.5, None)]
    values += [{"reward": one} for one in (float("nan"), float("-inf"), Decimal("0.1"), 2**60 + 1, None)]
    for number, value in enumerate(values):
        experiments.save(f"episode:{number}", value)
        assert repr(experiments.load(f"episode:{number}")) == repr(value)


def test_columns_have_the_fields(experiments: Experiments, place: Place) -> None:
    if place.database is None:
        return
    experiments.save("episode:1", {**EPISODE, "timestamp": datetime(2026, 1, 2)})  # noqa: DTZ001
    experiments.save("experiment:exp_001", EXPERIMENT)
    experiments.save("run:run_abc", RUN)
    with as_application():
        rows = {name: place.database.run(Select(name)).rows for name in ("rl_data", "optimization_experiments")}
        (run,) = place.database.run(Select("optimization_runs")).rows
    (episode,), (experiment,) = rows.values()
    assert (episode["rl_key"], episode["rl_record_type"], episode["agent_id"]) == ("episode:1", "episode", "agent_123")
    assert (episode["episode_timestamp"], episode["reward_score"]) == (
        datetime(2026, 1, 2, tzinfo=UTC).timestamp(),
        0.85,
    )
    assert (episode["success"], episode["station"]) == (True, "web_playground")
    assert (experiment["experiment_id"], experiment["experiment_score"]) == ("exp_001", 0.92)
    assert (experiment["generation_number"], experiment["latency_ms"], experiment["test_passed"]) == (3, 150.0, True)
    assert (run["run_id"], run["status"], run["total_generations"]) == ("run_abc", "completed", 5)
