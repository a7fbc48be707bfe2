"""The report on a client: it says of each function whether it works, from what can be read back."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from storage import IntegrationReport
from storage import verify_integration
from tests.documents.optimizer import Client

DONE = {"success": True, "data": None, "error": None}
GETTERS = ("get_rl_data_by_key", "get_experiment", "get_optimization_run")
WRITES = ("save_rl_data", "save_experiment", "start_optimization_run", "complete_optimization_run")
OPTIONAL = ("get_experiment", "delete_by_key", "list_keys")


class Whole(Client):
    """A client with all functions."""

    def _places(self) -> list[tuple[str, dict[str, dict[str, Any]]]]:
        return [("", self.rl_data), ("experiment:", self.experiments), ("run:", self.runs)]

    async def get_experiment(self, experiment_id: str) -> dict[str, Any]:
        return {"success": True, "data": self.experiments.get(experiment_id)}

    async def delete_by_key(self, key: str) -> dict[str, Any]:
        for prefix, place in self._places():
            place.pop(key.removeprefix(prefix), None)
        return {"success": True}

    def list_keys(self, prefix: str) -> dict[str, Any]:
        keys = [f"{before}{id_}" for before, place in self._places() for id_ in place]
        return {"success": True, "data": [key for key in keys if key.startswith(prefix)]}


def verified(client: object, **others: Any) -> IntegrationReport:
    """The report on a client with other functions instead of its own."""
    for name, function in others.items():
        setattr(client, name, function)
    return asyncio.run(verify_integration(client))


async def do_nothing(*_: Any, **__: Any) -> dict[str, Any]:
    return DONE


async def fail(*_: Any, **__: Any) -> dict[str, Any]:
    return {"success": False, "error": "out of order"}


def test_a_whole_client_works_and_is_left_as_it_was() -> None:
    client = Whole()
    report = verified(client)
    assert report == IntegrationReport()
    assert report.ok
    assert [line.partition(": ")[2] for line in str(report).splitlines()] == ["works"] * 9
    assert (client.rl_data, client.experiments, client.runs) == ({}, {}, {})


def test_what_is_optional_is_listed_as_absent() -> None:
    client = Client()
    report = verified(client)
    assert report.ok
    assert (report.absent, report.unchecked) == (OPTIONAL, ("save_experiment",))
    assert "save_experiment: answers; whether it stores anything could not be checked" in str(report)
    assert str(report).count("not there; it is optional") == 3
    verified(client)
    assert {key.rpartition(":")[0] for key in client.rl_data} == {"episode:verify_integration"}
    assert [len(place) for place in (client.rl_data, client.experiments, client.runs)] == [2, 2, 2]


def test_writes_that_do_nothing_are_found() -> None:
    report = verified(Whole(), **dict.fromkeys(WRITES, do_nothing))
    assert report.problems.keys() == {*WRITES, *GETTERS}
    for name in WRITES:
        assert "returns nothing after it has stored a value" in report.problems[name]
    for name in GETTERS:
        assert f"{name}: returns nothing after" in str(report)


@pytest.mark.parametrize("name", WRITES)
def test_one_write_that_does_nothing_is_found(name: str) -> None:
    assert name in verified(Whole(), **{name: do_nothing}).problems


@pytest.mark.parametrize("name", WRITES)
def test_one_write_that_fails_is_found(name: str) -> None:
    assert "was not successful: out of order" in verified(Whole(), **{name: fail}).problems[name]


@pytest.mark.parametrize("name", GETTERS)
def test_a_getter_that_returns_another_value_is_found(name: str) -> None:
    another = {"run_id": "another", "system_name": "context", "status": "completed", "agent_id": "a"}
    report = verified(Whole(), **{name: lambda _: {"success": True, "data": another}})
    assert "another " in report.problems[name]
    assert {name} < report.problems.keys() <= {name, *WRITES}


@pytest.mark.parametrize("name", GETTERS)
def test_a_getter_that_fails_is_found_and_the_writes_are_not_blamed(name: str) -> None:
    report = verified(Whole(), **{name: fail})
    assert report.problems.keys() == {name}
    stored_for = {"get_rl_data_by_key": WRITES[:1], "get_experiment": WRITES[1:2], "get_optimization_run": WRITES[2:]}
    assert report.unchecked == stored_for[name]


@pytest.mark.parametrize("name", GETTERS)
def test_a_getter_that_invents_what_was_never_stored_is_found(name: str) -> None:
    client = Whole()
    own = getattr(client, name)

    async def invent(key: str) -> dict[str, Any]:
        return await own(key.removesuffix(":absent"))  # type: ignore[no-any-return]

    report = verified(client, **{name: invent})
    assert report.problems.keys() == {name}
    assert "nothing is stored" in report.problems[name]


def test_a_write_that_loses_fields_is_found() -> None:
    client = Whole()
    own = client.save_experiment
    report = verified(
        client, save_experiment=lambda **fields: own(**{**fields, "tested_config": {}, "full_metrics": 1})
    )
    assert "get_experiment returns another tested_config, metrics" in report.problems["save_experiment"]
    other = Whole()
    complete = other.complete_optimization_run
    assert "returns no winning_config_id, winning_config" in str(
        verified(other, complete_optimization_run=lambda run_id, **_: complete(run_id))
    )


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([], "does not list it"),
        (["other"], "does not list it"),
        (None, "TypeError"),
    ],
)
def test_a_list_without_the_keys_is_found(keys: Any, message: str) -> None:
    report = verified(Whole(), list_keys=lambda prefix: {"success": True, "data": keys})
    assert report.problems.keys() == {"list_keys"}
    assert message.replace("does", "") in report.problems["list_keys"]


def test_a_list_of_all_keys_is_found() -> None:
    client = Whole()
    client.rl_data["episode:1"] = {}
    own = client.list_keys
    assert verified(client, list_keys=lambda _: own("")).problems.keys() == {"list_keys"}


def test_a_deletion_that_does_nothing_is_found() -> None:
    report = verified(Whole(), delete_by_key=do_nothing)
    assert report.problems.keys() == {"delete_by_key"}
    assert "is still there" in report.problems["delete_by_key"]
    assert verified(Whole(), delete_by_key=fail).problems.keys() == {"delete_by_key"}


def test_a_getter_that_has_found_another_value_is_not_blamed() -> None:
    assert verified(Whole(), complete_optimization_run=do_nothing).problems.keys() == {"complete_optimization_run"}


def test_each_function_has_a_problem_of_its_own() -> None:
    client = Client()
    report = verified(
        client, save_rl_data=do_nothing, get_optimization_run=None, save_experiment=lambda **_: 1 / 0, list_keys=fail
    )
    assert report.ok is False
    assert report.problems == {
        "get_optimization_run": "is not there",
        "get_rl_data_by_key": "returns nothing after save_rl_data has stored a value",
        "save_rl_data": "get_rl_data_by_key returns nothing after it has stored a value",
        "save_experiment": "ZeroDivisionError: division by zero",
    }
    assert report.absent == ("get_experiment", "delete_by_key")
    assert report.unchecked == ("start_optimization_run", "complete_optimization_run")


def test_a_client_without_functions_lacks_all() -> None:
    problems = verified(SimpleNamespace()).problems
    assert set(problems.values()) == {"is not there"}
    assert problems.keys() == {*WRITES, *GETTERS} - {"get_experiment"}
