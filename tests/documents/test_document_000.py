"""Document 000, "Convergence Storage Backends": all of its code runs, and does what the text around it says."""

from __future__ import annotations

import asyncio
import inspect
import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from database import Isthmus
from database.backends.convex import ConvexAdapter
from database.core.context import as_application
from storage import ConvexStorage
from storage import StorageProtocol
from storage import StorageUnsupportedError
from storage import verify_integration
from stores.current import RecordStores
from tests.documents.blocks import Block
from tests.documents.blocks import blocks
from tests.documents.conftest import Served
from tests.documents.optimizer import Client

DOCUMENT = Path(__file__).with_name("000.txt")
PYTHON = {block.section.split(" / ")[-1]: block for block in blocks(DOCUMENT, "python")}
REPLACEMENTS = {
    "from convergence.storage import": "from storage import",
    "from convergence import ConvergenceSDK": "from tests.documents.optimizer import ConvergenceSDK",
    "from my_app.convex import my_client": "from tests.documents.optimizer import my_client",
    "https://my-app.convex.cloud": "{url}",
    '"api-key"': '"{token}"',
}
"""All that is changed of the code."""

_covered: set[str] = set()


def runs(section: str) -> pytest.MarkDecorator:
    """The test's ``block`` is that section's, with the replacements."""
    _covered.add(section)
    return pytest.mark.parametrize("block", [section], ids=[section], indirect=True)


@pytest.fixture
def block(request: pytest.FixtureRequest) -> Block:
    found = PYTHON[request.param]
    replaced = {text: other for text, other in REPLACEMENTS.items() if text in found.code}
    if "https://my-app.convex.cloud" in replaced:
        service: Served = request.getfixturevalue("service")
        replaced |= {"https://my-app.convex.cloud": service.url, '"api-key"': repr(service.token)}
    return found.with_replaced(replaced)


def test_every_block_of_the_document_is_run() -> None:
    assert _covered == PYTHON.keys()
    assert len(PYTHON) == DOCUMENT.read_text().count("```python")


@pytest.mark.parametrize("text", REPLACEMENTS)
def test_every_replacement_has_something_to_replace(text: str) -> None:
    assert any(text in block.code for block in PYTHON.values())


@runs("Quick Start")
@pytest.mark.usefixtures("convex_environment")
def test_convex_is_used_in_three_ways(block: Block, convex_store: ConvexAdapter) -> None:
    client = Client()
    cases = [{"id": "first"}, {"id": "second"}]
    names = block.run(my_save_fn=client.save_rl_data, my_experiment_fn=client.save_experiment, test_cases=cases)
    assert isinstance(names["storage"], StorageProtocol)
    assert [one["test_case_id"] for one in client.experiments.values()] == ["first", "second"]
    assert client.rl_data["episode:1"]["reward_score"] == 0.5


_METHOD = re.compile(r"async def (\w+)\(([^)]*)\)")


@runs("Required Methods")
def test_the_required_methods_are_called_with_the_documented_arguments(block: Block) -> None:
    documented = {
        name: [one.split(":")[0].strip() for one in arguments.split(",")]
        for name, arguments in _METHOD.findall(block.code)
    }
    ours = {
        name: [
            f"{'**' if one.kind is one.VAR_KEYWORD else ''}{one.name}"
            for one in inspect.signature(method).parameters.values()
        ][1:]
        for name, method in vars(Client).items()
        if not name.startswith("_")
    }
    assert documented == ours
    report = asyncio.run(verify_integration(Client()))
    assert report.ok, str(report)


@runs("Example: Direct HTTP Integration")
def test_a_client_over_http(block: Block, service: Served) -> None:
    storage = block.run()["storage"]
    experiment = {"experiment_id": "exp_001", "tested_config": {"a": 1}, "score": 0.9}

    async def use() -> None:
        await storage.save("episode:1", {"agent_id": "a", "timestamp": 2, "reward": 0.5})
        await storage.save("experiment:exp_001", experiment)
        with pytest.raises(StorageUnsupportedError, match="get_rl_data_by_key"):
            await storage.load("episode:1")

    asyncio.run(use())
    with as_application():
        experiments = Isthmus.of(service.site.app)[RecordStores]["experiments"].records
        assert experiments.load("episode:1") == {"agent_id": "a", "timestamp": 2, "reward": 0.5}
        assert experiments.load("experiment:exp_001").items() >= experiment.items()


@runs("Example: Function Injection")
def test_a_function_saves_to_a_database(block: Block) -> None:
    class Database:
        def __init__(self) -> None:
            self.rows: list[tuple[str, dict[str, Any]]] = []

        async def insert(self, table: str, row: dict[str, Any]) -> None:
            self.rows.append((table, row))

    database = Database()
    storage = block.run(my_database=database)["storage"]
    asyncio.run(storage.save("trajectory:1", {"agent_id": "a", "timestamp": 2}))
    ((table, row),) = database.rows
    assert (table, row["key"], row["type"], row["agent_id"]) == ("rl_data", "trajectory:1", "trajectory", "a")


@runs("SQLite + File (Legacy Multi-Backend)")
def test_values_are_in_two_places(block: Block, own_environment: None) -> None:
    storage = block.run()["storage"]

    async def use() -> None:
        assert isinstance(storage, StorageProtocol)
        await storage.save("episode:1", {"reward": 0.5})
        assert await storage.load("episode:1") == {"reward": 0.5}
        await storage.close()

    asyncio.run(use())
    assert '"reward": 0.5' in Path("data/convergence_legacy/episode%3A1").read_text()
    with sqlite3.connect("data/convergence_legacy.db") as connection:
        assert connection.execute("select data ->> '$.reward' from storage").fetchall() == [(0.5,)]
    connection.close()


@runs("Custom Storage")
def test_a_class_need_not_inherit_the_protocol(block: Block) -> None:
    names = block.run(Any=Any)
    custom, protocol = names["MyCustomStorage"], names["StorageProtocol"]
    for name in ("save", "load", "exists"):
        assert inspect.signature(getattr(custom, name)).parameters.keys() == (
            inspect.signature(getattr(protocol, name)).parameters.keys()
        )
        assert inspect.iscoroutinefunction(getattr(protocol, name))
    whole = type("Whole", (custom,), dict.fromkeys(("delete", "list_keys", "close"), custom.save))
    assert isinstance(whole(), protocol)
    assert not isinstance(names["storage"], protocol)


def stored(block: Block, key: str) -> tuple[dict[str, Any], Client]:
    """The dictionary of the block, which was saved under a key."""
    value: dict[str, Any] = replace(block, code=f"value = {block.code}").run()["value"]
    client = Client()
    asyncio.run(ConvexStorage(client).save(key, value))
    return value, client


@runs("RL Training Data")
def test_rl_data_is_stored_whole_and_by_fields(block: Block) -> None:
    value, client = stored(block, "episode:1")
    row = client.rl_data["episode:1"]
    assert row["rl_episode_data"] == value
    assert (row["agent_id"], row["station"], row["civilization_id"]) == ("agent_123", "web_playground", "civ_001")
    assert (row["episode_timestamp"], row["reward_score"], row["fitness_score"]) == (1234567890, 0.85, 0.90)
    assert (row["rl_record_type"], row["success"]) == ("episode", True)


@runs("Optimization Experiments")
def test_no_part_of_an_experiment_is_lost(block: Block) -> None:
    value, client = stored(block, "experiment:exp_001")
    row = client.experiments["exp_001"]
    names = {
        **{name: name for name in value if name in row},
        "score": "experiment_score",
        "passed": "test_passed",
        "timestamp": "experiment_timestamp",
        "generation": "generation_number",
        "metrics": "full_metrics",
    }
    assert names.keys() == value.keys() - {"experiment_id"}
    assert {name: row[other] for name, other in names.items()} == {name: value[name] for name in names}

    async def get(experiment_id: str) -> dict[str, Any]:
        return {"success": True, "data": client.experiments[experiment_id]}

    assert asyncio.run(ConvexStorage(client, get_experiment_fn=get).load("experiment:exp_001")) == value


@runs("Optimization Runs")
def test_a_run_is_started_and_completed(block: Block) -> None:
    client = Client()
    storage = ConvexStorage(client)
    asyncio.run(storage.save("run:run_abc", {"run_id": "run_abc", "status": "started", "system_name": "context"}))
    value: dict[str, Any] = replace(block, code=f"value = {block.code}").run()["value"]
    asyncio.run(storage.save("run:run_abc", value))
    assert asyncio.run(storage.load("run:run_abc")) == value
    assert client.runs["run_abc"] == {
        "system_name": "context_enrichment",
        "algorithm_name": "mab_evolution",
        "status": "completed",
        "winning_config_id": "config_xyz",
        "winning_config_snapshot": value["winning_config"],
        "total_generations": 5,
        "convergence_achieved": True,
    }


@runs("Testing Your Integration")
def test_an_integration_is_tested(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    client = Client()
    block.run(your_client=client)
    assert capsys.readouterr().out == ("{'agent_id': 'test_agent', 'timestamp': 123456, 'reward': 0.9}\nExists: True\n")
    assert client.rl_data["episode:test:001"]["episode_timestamp"] == 123456
