"""The Convex functions of Convergence's storage: what they store the application finds, and the other way round."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from convex import ConvexError

from database.backends.convex import ConvexAdapter
from database.core.context import as_application
from stores import Experiments
from tests.integration.convex_functions.support import Functions
from tests.integration.convex_functions.support import refusal
from tests.servers.available import available
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.convex_deployment import functions_with
from tests.servers.tokens import TokenSigner
from tests.stores.experiments.places import SCHEMA

As = Callable[[str | None], Functions]
DATA = {"reward": 0.5, "steps": [1.0, None, {"a": True}], "bytes": b"\x00\xff", "large": 2**62, "é": "ü"}
EPISODE = {"rl_key": "episode:1", "rl_record_type": "episode", "agent_id": "a", "episode_timestamp": 12.0}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory, token_signer: TokenSigner) -> Iterator[ConvexDeployment]:
    functions = functions_with(SCHEMA, tmp_path_factory.mktemp("convergence"))
    with available(ConvexDeployment, functions, provider=token_signer.provider) as made:
        yield made


@pytest.fixture
def call(deployment: ConvexDeployment, token_signer: TokenSigner) -> Iterator[As]:
    deployment.reset()
    made: list[Functions] = []

    def caller(role: str | None) -> Functions:
        claims = {"app_metadata": {"role": role}} if role else {}
        made.append(Functions(deployment.url, f"Bearer {token_signer.token('user-1', **claims)}"))
        return made[-1]

    yield caller
    for each in made:
        each.close()


@pytest.fixture
def experiments(deployment: ConvexDeployment) -> Iterator[Experiments]:
    adapter = ConvexAdapter({"url": deployment.url, "key": deployment.deploy_key}, SCHEMA)
    with as_application():
        yield Experiments.on_tables(adapter)
    adapter.disconnect()


def test_data_goes_both_ways(call: As, experiments: Experiments) -> None:
    user = call(None)
    plain = {name: part for name, part in DATA.items() if name.isascii()}
    saved = user.mutation("convergence:save_rl_data", **EPISODE, rl_episode_data=plain, reward_score=0.5, station=None)
    assert saved == {"success": True, "data": {"key": "episode:1"}, "error": None}
    assert experiments.load("episode:1") == plain
    experiments.save("episode:2", {**DATA, "$type": "own", "agent_id": "b", "timestamp": 7})
    found = user.query("convergence:get_rl_data_by_key", rl_key="episode:2")["data"]
    assert (found["agent_id"], found["episode_timestamp"], found["rl_key"]) == ("b", 7.0, "episode:2")
    assert found["rl_episode_data"] | {"large": 0} == {
        **plain,
        "bytes": "AP8=",
        "large": 0,
        "~%C3%A9": "ü",
        "~%24type": "own",
        "agent_id": "b",
        "timestamp": 7.0,
    }
    assert user.query("convergence:get_rl_data_by_key", rl_key="episode:3")["data"] is None


def test_experiments_and_runs_go_both_ways(call: As, experiments: Experiments) -> None:
    user = call(None)
    names = {"optimization_run_id": "r", "system_name": "s", "algorithm_name": "a", "test_case_id": "t"}
    results = {"tested_config": {"x": 1.0}, "experiment_score": 0.9, "test_passed": True, "experiment_timestamp": 5.0}
    more = {"generation_number": 3, "full_metrics": {"recall": 1.0}}
    user.mutation("convergence:save_experiment", experiment_id="e\0\x01", **names, **results, **more)
    expected: dict[str, Any] = {**names, "tested_config": {"x": 1}, "score": 0.9, "passed": True, "timestamp": 5}
    expected |= {"generation": 3, "metrics": {"recall": 1}, "experiment_id": "e\0\x01"}
    assert experiments.get_experiment("e\0\x01") == expected
    user.mutation("convergence:start_optimization_run", run_id="r", system_name="s", algorithm_name="a")
    user.mutation("convergence:complete_optimization_run", run_id="r", winning_config_snapshot={"x": 1.0})
    run = {"run_id": "r", "system_name": "s", "algorithm_name": "a", "status": "completed", "winning_config": {"x": 1}}
    assert experiments.load("run:r") == run == user.query("convergence:get_optimization_run", run_id="r")["data"]
    experiments.complete_optimization_run("r", total_generations=4)
    assert user.query("convergence:get_optimization_run", run_id="r")["data"]["total_generations"] == 4.0
    with pytest.raises(ConvexError) as error:
        user.mutation("convergence:start_optimization_run", run_id="r", system_name="s", algorithm_name="a")
    assert "completed already" in refusal(error)["message"]
    assert experiments.list_keys() == ["experiment:e\0\x01", "run:r"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rl_key": "audit:1"}, "behind one of"),
        ({"rl_key": "episode:"}, "behind one of"),
        ({"rl_record_type": "trajectory"}, "of the type episode"),
        ({"agent_id": 1.0}, "agent_id"),
        ({"success": "yes"}, "success"),
        ({"episode_timestamp": "soon"}, "episode_timestamp"),
        ({"rl_episode_data": [1.0]}, "rl_episode_data"),
    ],
)
def test_what_is_wrong_is_named(call: As, experiments: Experiments, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConvexError) as error:
        call(None).mutation("convergence:save_rl_data", **{**EPISODE, "rl_episode_data": {}, **change})
    assert refusal(error)["code"] == "INVALID"
    assert message in refusal(error)["message"]
    assert experiments.count() == 0


def test_administrators_delete(call: As, experiments: Experiments, deployment: ConvexDeployment) -> None:
    for key in ("episode:1", "run:r"):
        experiments.save(key, {})
        with pytest.raises(ConvexError) as error:
            call(None).mutation("convergence:delete_by_key", key=key)
        assert refusal(error) == {"code": "FORBIDDEN"}
        assert call("admin").mutation("convergence:delete_by_key", key=key)["data"] is True
        assert call("admin").mutation("convergence:delete_by_key", key=key)["data"] is False
    nobody = Functions(deployment.url, None)
    with pytest.raises(ConvexError) as error:
        nobody.query("convergence:get_optimization_run", run_id="r")
    assert refusal(error) == {"code": "UNAUTHENTICATED"}
    nobody.close()


def test_all_functions_are_of_the_tables_folder() -> None:
    """The columns that the functions fill in are those that the application fills in."""
    source = Path(__file__).parents[3] / "database/convex_functions/lib/convergence.ts"
    text = source.read_text()
    for name in ("rl_data", "optimization_experiments", "optimization_runs"):
        entry = {"etag", "headers", "metadata", "expires_at", "record", "size", "stored_at"}
        managed = {"created_at", "updated_at", "version", *SCHEMA.table(name).key}
        for column in SCHEMA.table(name).columns.keys() - entry - managed:
            assert f"    {column}: [" in text
