"""What is stored through functions is loaded as it was saved, or refused: no field and no status is lost in silence."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage import ConvexStorage
from storage import StorageError
from storage import StorageKeyError
from storage import StorageSerializationError
from tests.documents.optimizer import Client

NAMES = {"system_name": "context", "algorithm_name": "mab"}
RESULT = {"winning_config_id": "c", "winning_config": {"a": 1}, "total_generations": 5, "convergence_achieved": False}
EXPERIMENT: dict[str, Any] = {
    **NAMES,
    "optimization_run_id": "r",
    "test_case_id": "t",
    "tested_config": {"threshold": 0.75},
    "score": 0.92,
    "passed": True,
    "timestamp": 1234567890,
    "generation": 3,
    "latency_ms": 150,
    "cost_usd": None,
    "metrics": {"recall": 1},
    "session_id": "s",
}
ALIASES = {"config": "tested_config", "generation_number": "generation", "full_metrics": "metrics"}
ALIASES |= {"experiment_score": "score", "test_passed": "passed", "experiment_timestamp": "timestamp"}
OTHERS = {"self": 1, "name": "n", "prompt": {"system": None}, "run_id": "r", "key": "k", "_id": 7}


class Keeper(Client):
    """A client that keeps the arguments of its functions as they are, and completes what was not started, too."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def save_experiment(self, /, **fields: Any) -> dict[str, Any]:  # type: ignore[override]
        self.experiments[fields["experiment_id"]] = fields
        return {"success": True}

    async def get_experiment(self, experiment_id: str) -> dict[str, Any]:
        return {"success": True, "data": self.experiments.get(experiment_id)}

    async def start_optimization_run(self, run_id: str, system_name: str, algorithm_name: str) -> dict[str, Any]:
        self.calls.append("start")
        return await super().start_optimization_run(run_id, system_name, algorithm_name)

    async def complete_optimization_run(self, /, run_id: str, **fields: Any) -> dict[str, Any]:
        self.calls.append("complete")
        self.runs[run_id] = {**self.runs.get(run_id, {}), **fields, "run_id": run_id, "status": "completed"}
        return {"success": True}


class Exact(Keeper):
    """A client that takes the fields it knows, and no others."""

    async def save_experiment(  # type: ignore[override]
        self, experiment_id: str, optimization_run_id: str, **fields: Any
    ) -> dict[str, Any]:
        return {"success": True}

    async def complete_optimization_run(  # type: ignore[override]
        self, run_id: str, winning_config_id: str | None = None, *, total_generations: int = 0
    ) -> dict[str, Any]:
        found = {"winning_config_id": winning_config_id, "total_generations": total_generations}
        return await Keeper.complete_optimization_run(self, run_id, **found)


def save(client: Client, key: str, value: Any) -> None:
    asyncio.run(ConvexStorage(client).save(key, value))


def load(client: Client, key: str) -> Any:
    return asyncio.run(ConvexStorage(client).load(key))


def test_an_experiment_is_loaded_as_it_was_saved() -> None:
    client = Keeper()
    save(client, "experiment:e", {**EXPERIMENT, **OTHERS})
    assert client.experiments["e"]["experiment_score"] == EXPERIMENT["score"]
    assert load(client, "experiment:e") == {**EXPERIMENT, **OTHERS, "experiment_id": "e"}
    save(client, "experiment:e", load(client, "experiment:e"))
    assert load(client, "experiment:e") == {**EXPERIMENT, **OTHERS, "experiment_id": "e"}


def test_both_spellings_are_saved_and_loaded() -> None:
    client = Keeper()
    spelled = {old: EXPERIMENT[new] for old, new in ALIASES.items()}
    rest = {name: part for name, part in EXPERIMENT.items() if name not in ALIASES.values()}
    save(client, "experiment:e", {**rest, **spelled})
    assert load(client, "experiment:e") == {**EXPERIMENT, "experiment_id": "e"}
    client.experiments["e"] = {"score": 1, "full_metrics": {}, "experiment_score": 2}
    assert load(client, "experiment:e") == {"experiment_id": "e", "score": 1, "metrics": {}, "experiment_score": 2}
    save(client, "run:r", {"status": "completed", "winning_config_snapshot": {"a": 1}})
    assert load(client, "run:r") == {"run_id": "r", "status": "completed", "winning_config": {"a": 1}}


@pytest.mark.parametrize(
    ("key", "first", "second"),
    [("experiment:e", "score", "experiment_score"), ("run:r", "winning_config_snapshot", "winning_config")],
)
def test_two_names_of_one_field_are_refused(key: str, first: str, second: str) -> None:
    client = Keeper()
    with pytest.raises(StorageSerializationError, match=f"{second} and {first} are two names of one field"):
        save(client, key, {"status": "completed", first: 1, second: 2})
    assert client.experiments == client.runs == {}


def test_the_name_of_a_field_must_be_text() -> None:
    with pytest.raises(StorageSerializationError, match=r"the names of the fields of 'run:r' must be text, not 7"):
        save(Keeper(), "run:r", {"status": "completed", 7: "seven"})


@pytest.mark.parametrize("status", ["failed", "paused", "COMPLETED", "", None, 1, ["started"]])
def test_a_status_without_a_function_is_refused(status: Any) -> None:
    client = Keeper()
    with pytest.raises(StorageSerializationError, match=r"has the status .* save it with one of these") as error:
        save(client, "run:r", {**NAMES, "status": status})
    assert repr(status) in str(error.value)
    assert client.runs == {}


@pytest.mark.parametrize("lost", [{"notes": "n"}, {"winning_config": {}}, {"total_generations": 0}, {"failed": None}])
def test_what_a_started_run_cannot_have_is_refused(lost: dict[str, Any]) -> None:
    client = Keeper()
    for status in ({}, {"status": "started"}):
        with pytest.raises(StorageSerializationError, match=f"no place for {next(iter(lost))} of 'run:r'; save this"):
            save(client, "run:r", {**NAMES, **status, **lost})
    assert client.runs == {}


def test_a_started_run_has_no_result_yet() -> None:
    client = Keeper()
    save(client, "run:r", {**NAMES, "run_id": "r", "winning_config": None, "total_generations": None})
    assert load(client, "run:r") == {**NAMES, "run_id": "r", "status": "started"}


def test_a_run_that_was_never_started_is_kept_whole() -> None:
    client = Keeper()
    value = {**NAMES, **RESULT, "status": "completed", "outcome": "failed", "name": "n", "self": 1, "function": "f"}
    save(client, "run:r", value)
    assert load(client, "run:r") == {**value, "run_id": "r"}
    assert client.calls == ["complete"]


def test_a_client_that_completes_without_names_starts_with_them() -> None:
    client = Exact()
    value = {**NAMES, "status": "completed", "winning_config_id": "c", "total_generations": 5}
    for _ in range(2):
        save(client, "run:r", value)
        assert load(client, "run:r") == {**value, "run_id": "r"}
    assert client.calls == ["start", "complete", "complete"]
    save(client, "run:r", {"status": "completed", "system_name": "other"})
    assert client.calls[3:] == ["start", "complete"]
    assert {**NAMES, "system_name": "other"}.items() <= load(client, "run:r").items()


def test_what_a_function_does_not_take_is_named() -> None:
    client = Exact()
    with pytest.raises(
        StorageSerializationError, match=r"complete_optimization_run of the client does not take notes;"
    ):
        save(client, "run:r", {**NAMES, "status": "completed", "notes": "n"})
    assert client.calls == []
    strict = ConvexStorage(save_experiment_fn=lambda experiment_id, tested_config: None)
    with pytest.raises(StorageSerializationError, match=r"does not take .*experiment_score.*, note; leave this out"):
        asyncio.run(strict.save("experiment:e", {"note": 1}))


def test_the_error_of_a_function_is_its_own() -> None:
    def save_experiment(**_: Any) -> Any:
        raise TypeError("of the function")

    with pytest.raises(TypeError, match="of the function") as error:
        asyncio.run(ConvexStorage(save_experiment_fn=save_experiment).save("experiment:e", {}))
    assert not isinstance(error.value, StorageError)


def test_what_a_client_answers_is_of_any_form() -> None:
    def answering(data: Any) -> ConvexStorage:
        return ConvexStorage(get_run_fn=lambda _: {"success": True, "data": data})

    assert asyncio.run(answering("text").load("run:r")) == "text"
    assert asyncio.run(answering({"_id": 1}).load("run:r")) == {"run_id": "r", "_id": 1}
    with pytest.raises(StorageKeyError):
        asyncio.run(answering({}).load("run:"))
