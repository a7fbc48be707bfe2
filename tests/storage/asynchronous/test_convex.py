"""Storage through functions: what is sent for which key, and what becomes of their failures."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from database.backends.convex import ConvexAdapter
from storage import ConvexStorage
from storage import StorageConfigurationError
from storage import StorageConnectionError
from storage import StorageError
from storage import StorageKeyError
from storage import StorageSerializationError
from storage import StorageUnsupportedError
from tests.documents.optimizer import Client
from tests.servers.convex_deployment import ConvexDeployment
from tests.servers.network.ports import free_port


def done(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@pytest.fixture
def client() -> Client:
    return Client()


@pytest.fixture
def storage(client: Client) -> ConvexStorage:
    return ConvexStorage(client)


@pytest.mark.parametrize(
    ("key", "record_type"),
    [
        *(("episode:a:s:000001", "episode"), ("trajectory:a", "trajectory"), ("agent_legacy:a", "agent_legacy")),
        *(("training_run:a", "training_run"), ("legacy:agent:a", "agent_legacy"), ("rl_training:a", "training_run")),
    ],
)
def test_the_prefix_is_the_type_of_a_record(client: Client, storage: ConvexStorage, key: str, record_type: str) -> None:
    done(storage.save(key, {"reward": 0}))
    assert client.rl_data[key]["rl_record_type"] == record_type
    assert client.rl_data[key]["reward_score"] == 0
    assert "station" not in client.rl_data[key]
    assert done(storage.load(key)) == {"reward": 0}
    assert done(storage.exists(key)) is True
    assert done(storage.exists(f"{key}:other")) is False


@pytest.mark.parametrize("key", ["audit:1", "episode", "episode:", "optimization:best", "EPISODE:1", ""])
def test_a_key_without_a_function_is_refused(client: Client, storage: ConvexStorage, key: str) -> None:
    for work in (storage.save(key, {}), storage.load(key), storage.exists(key)):
        with pytest.raises(StorageKeyError):
            done(work)
    assert client.rl_data == {}


@pytest.mark.parametrize("value", [None, [1], "text"])
def test_a_value_must_be_a_dictionary(storage: ConvexStorage, value: Any) -> None:
    with pytest.raises(StorageSerializationError, match="must be a dictionary"):
        done(storage.save("episode:1", value))


def test_an_id_that_would_not_be_found_again_is_refused(storage: ConvexStorage) -> None:
    with pytest.raises(StorageKeyError, match="another run_id"):
        done(storage.save("run:a", {"run_id": "b"}))
    with pytest.raises(StorageKeyError, match="another experiment_id"):
        done(storage.save("experiment:a", {"experiment_id": "b"}))


def test_both_names_of_a_configuration_are_sent(client: Client, storage: ConvexStorage) -> None:
    done(storage.save("experiment:a", {"config": {"a": 1}}))
    done(storage.save("experiment:b", {"tested_config": {"b": 1}}))
    assert (client.experiments["a"]["tested_config"], client.experiments["b"]["tested_config"]) == ({"a": 1}, {"b": 1})


def test_what_a_client_lacks_is_refused(storage: ConvexStorage) -> None:
    done(storage.save("experiment:a", {}))
    for work in (storage.load("experiment:a"), storage.delete("run:a"), storage.list_keys(), storage.clear("run:")):
        with pytest.raises(StorageUnsupportedError, match="the client has no function"):
            done(work)
    only_getters = ConvexStorage(get_run_fn=lambda run_id: {"success": True, "data": {"run_id": run_id}})
    assert done(only_getters.load("run:a")) == {"run_id": "a"}
    with pytest.raises(StorageUnsupportedError, match="start_optimization_run"):
        done(only_getters.save("run:a", {}))


def test_a_client_with_all_functions_deletes_and_lists(client: Client) -> None:
    async def delete_by_key(key: str) -> dict[str, Any]:
        return {"success": True, "data": client.rl_data.pop(key, None)}

    client.delete_by_key = delete_by_key  # type: ignore[attr-defined]
    client.list_keys = lambda prefix: {  # type: ignore[attr-defined]
        "success": True,
        "data": [key for key in client.rl_data if key.startswith(prefix)],
    }
    storage = ConvexStorage(client, get_experiment_fn=lambda id_: {"success": True, "data": client.experiments[id_]})
    for key in ("episode:2", "episode:1", "trajectory:1"):
        done(storage.save(key, {}))
    done(storage.save("experiment:a", {"score": 1}))
    assert done(storage.load("experiment:a"))["score"] == 1
    assert done(storage.list_keys("episode:")) == ["episode:1", "episode:2"]
    assert (done(storage.clear("episode:")), done(storage.count_keys())) == (2, 1)


@pytest.mark.parametrize("answer", [None, True, "ok", {}, {"success": "yes"}, {"data": {}}])
def test_an_answer_of_another_form_is_an_error(answer: Any) -> None:
    storage = ConvexStorage(save_rl_data_fn=lambda **_: answer, get_rl_data_fn=lambda _: answer)
    for work in (storage.save("episode:1", {}), storage.load("episode:1"), storage.exists("episode:1")):
        with pytest.raises(StorageError, match="must return"):
            done(work)


def test_a_failure_is_not_taken_for_a_missing_value() -> None:
    failing = ConvexStorage(get_rl_data_fn=lambda _: {"success": False, "error": "the server is down"})
    with pytest.raises(StorageError, match="get_rl_data_by_key was not successful: the server is down"):
        done(failing.exists("episode:1"))
    absent = ConvexStorage(get_rl_data_fn=lambda _: {"success": False, "error": "Not found"})
    assert done(absent.exists("episode:1")) is False

    async def unreachable(_: str) -> Any:
        return await asyncio.open_connection("127.0.0.1", free_port())

    with pytest.raises(StorageConnectionError, match="get_rl_data_by_key has no connection"):
        done(ConvexStorage(get_rl_data_fn=unreachable).exists("episode:1"))


def test_without_anything_it_says_what_it_needs(own_environment: None) -> None:
    with pytest.raises(StorageConfigurationError, match="CONVEX_URL"):
        ConvexStorage()


def test_the_deployment_takes_any_key_and_value(
    own_environment: None,
    empty_deployment: ConvexDeployment,
    convex_store: ConvexAdapter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CONVEX_URL", empty_deployment.url)
    monkeypatch.setenv("CONVEX_DEPLOYMENT_KEY", empty_deployment.deploy_key)

    async def use() -> None:
        storage = ConvexStorage()
        await storage.save("optimization:best", [1, b"bytes"])
        assert await storage.load("optimization:best") == [1, b"bytes"]
        assert await storage.list_keys() == ["optimization:best"]
        await storage.delete("optimization:best")
        assert await storage.exists("optimization:best") is False
        await storage.close()

    asyncio.run(use())
