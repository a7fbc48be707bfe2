"""The asynchronous faces: a storage with the protocol's methods, and a client of a storage."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage import ConvexStorage
from storage import MemoryEntries
from storage import StorageError
from storage import StorageNotFoundError
from storage import StorageProtocol
from storage import Store
from storage import verify_integration
from stores import ExperimentClient
from stores import Experiments
from stores import ExperimentStorage
from tests.stores.experiments.test_records import EPISODE
from tests.stores.experiments.test_records import EXPERIMENT
from tests.stores.experiments.test_records import RUN
from tests.stores.experiments.test_records import STARTED_RUN


def is_storage(storage: object) -> bool:
    return isinstance(storage, StorageProtocol)


async def use(storage: Any) -> None:
    assert is_storage(storage)
    await storage.save("episode:test:001", EPISODE)
    await storage.save("experiment:exp_001", EXPERIMENT)
    await storage.save("run:run_abc", STARTED_RUN)
    assert await storage.load("run:run_abc") == STARTED_RUN
    await storage.save("run:run_abc", RUN)
    assert await storage.load("episode:test:001") == EPISODE
    assert await storage.load("experiment:exp_001") == EXPERIMENT
    assert await storage.load("run:run_abc") == RUN
    assert await storage.exists("episode:test:001")
    assert await storage.list_keys("e") == ["episode:test:001", "experiment:exp_001"]
    await storage.delete("episode:test:001")
    await storage.delete("episode:test:001")
    assert not await storage.exists("episode:test:001")
    with pytest.raises(StorageNotFoundError):
        await storage.load("episode:test:001")
    assert (await storage.clear("run:"), await storage.count_keys()) == (1, 1)
    await storage.close()
    await storage.close()


def test_a_storage_is_used_as_the_protocol_says(experiments: Experiments) -> None:
    asyncio.run(use(ExperimentStorage(experiments)))


def test_a_storage_uses_the_client_and_loses_no_documented_field(experiments: Experiments) -> None:
    client = ExperimentClient(experiments)
    storage = ConvexStorage(client=client)
    asyncio.run(use(storage))
    others = {"self": 1, "name": "n", "note": {"a": None}, "latency_ms": None}
    for key, value in (("experiment:exp_001", EXPERIMENT), ("run:run_abc", RUN)):
        asyncio.run(storage.save(key, {**value, **others}))
        assert asyncio.run(storage.load(key)) == {**value, **others}
    report = asyncio.run(verify_integration(client))
    assert report.ok, str(report)
    assert report.absent == report.unchecked == ()


def test_a_client_answers_as_documented() -> None:
    client = ExperimentClient(Experiments.on_store(Store(MemoryEntries())))

    async def use() -> None:
        saved = await client.save_rl_data("episode:1", "episode", "a", 1, {"b": 2}, station="s")
        assert saved == {"success": True, "data": {"key": "episode:1"}, "error": None}
        assert (await client.get_rl_data_by_key("episode:1"))["data"]["station"] == "s"
        assert await client.get_experiment("none") == {"success": True, "data": None, "error": None}
        refused = await client.save_rl_data("audit:1", "episode", "a", 1, {})
        assert (refused["success"], refused["data"]) == (False, None)
        assert "audit:1" in refused["error"]
        with pytest.raises(StorageError, match="no records have the key"):
            await ConvexStorage(client=client).load("audit:1")

    asyncio.run(use())
