"""The page of experiments: its code runs, and does what the text around it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import sqlalchemy as sa

from database import Isthmus
from database.core.context import SERVICE
from database.core.context import acting_as
from database.core.context import as_application
from storage import ConvexStorage
from storage import StorageProtocol
from storage import StorageSerializationError
from stores import ExperimentClient
from stores import ExperimentStorage
from stores import RecordStoreDeclaration
from stores.current import RecordStores
from tests.documents.blocks import blocks
from tests.documents.conftest import Served
from tests.stores.experiments.test_records import EXPERIMENT
from tests.stores.experiments.test_records import RUN
from tests.stores.experiments.test_records import STARTED_RUN

VIEW, PLACES, DECLARATION, CLIENT = blocks(Path(__file__).parents[3] / "docs" / "stores" / "experiments.md", "python")


def test_a_view_uses_the_experiments_of_the_application(service: Served) -> None:
    best = VIEW.run()["best_episode"]
    with service.site.app.test_request_context(), acting_as(SERVICE):
        assert best() == {"agent_id": "a1", "timestamp": 1234567890, "reward": 0.85}
    with as_application():
        run = Isthmus.of(service.site.app)[RecordStores]["experiments"].records.get_optimization_run("run_abc")
    assert run is not None
    assert (run["status"], run["system_name"], run["winning_config_id"]) == ("completed", "search", "config_xyz")


def test_experiments_are_in_any_store() -> None:
    made = PLACES.run()
    storage: StorageProtocol = made["storage"]
    assert isinstance(storage, ExperimentStorage)
    assert isinstance(made["client"], ExperimentClient)

    async def use() -> None:
        await storage.save("audit:1", 1)
        await storage.save("run:1", {"status": "started"})
        assert await storage.list_keys() == ["audit:1", "run:1"]
        assert (await made["client"].get_optimization_run("1"))["data"] == {"status": "started"}

    asyncio.run(use())
    assert sorted(path.name for path in Path("experiments").glob("*%3A*")) == ["audit%3A1", "run%3A1"]


def test_the_declaration_is_the_default() -> None:
    made = DECLARATION.run()
    metadata: sa.MetaData = made["metadata"]
    assert set(metadata.tables) == {"rl_data", "optimization_experiments", "optimization_runs"}
    assert made["RECORD_STORES"]["experiments"].grants("a") == RecordStoreDeclaration().grants("a")


def test_a_client_over_http_has_all_functions(service: Served) -> None:
    made = CLIENT.run()
    admin = service.site.admin()["Authorization"].removeprefix("Bearer ")
    report = asyncio.run(made["remember"](service.url, admin))
    assert (report.ok, report.absent, report.unchecked) == (True, (), ()), str(report)

    async def use() -> None:
        storage = ConvexStorage(client=made["OverHttp"](service.url, service.token))
        assert (await storage.load("episode:test:001"))["reward"] == 0.9
        assert await storage.list_keys() == ["episode:test:001"]
        experiment = {**EXPERIMENT, "metrics": {"recall": 1.0}}
        await storage.save("experiment:exp_001", experiment)
        await storage.save("run:run_abc", STARTED_RUN)
        await storage.save("run:run_abc", RUN)
        assert await storage.load("experiment:exp_001") == experiment
        assert await storage.load("run:run_abc") == RUN
        with pytest.raises(StorageSerializationError, match="'failed'"):
            await storage.save("run:run_abc", {**RUN, "status": "failed"})
        await storage.save("run:run_abc", {**RUN, "outcome": "failed"})
        assert (await storage.load("run:run_abc"))["outcome"] == "failed"

    asyncio.run(use())
