"""The decorators: which providers a function has, and what is asked before it is called."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from storage import DataManager
from storage import RedisProvider
from storage import StorageConfigurationError
from storage import StorageConnectionError
from storage import StoragePermissionError
from storage import requires_storage
from storage import storage_enabled
from tests.documents.agents import agent
from tests.servers.network.ports import free_port


def test_a_function_has_its_providers_only(dm: DataManager) -> None:
    @storage_enabled(providers=["first"])
    def function() -> Any:
        return function.storage.store(1, "first")  # type: ignore[attr-defined]

    reference = function()
    assert dm.retrieve(reference) == 1
    storage = function.storage  # type: ignore[attr-defined]
    assert storage.retrieve(reference) == 1
    with pytest.raises(StoragePermissionError, match="'second'"):
        storage.store(1, "second")
    with storage.transaction():
        assert storage.delete(reference) is True


def test_without_names_it_has_all_providers(dm: DataManager) -> None:
    @storage_enabled()
    def function() -> None:
        """It does nothing."""

    assert dm.retrieve(function.storage.store(1, "second")) == 1  # type: ignore[attr-defined]


def test_a_provider_may_be_registered_later_and_replaced(dm: DataManager) -> None:
    @storage_enabled("later")
    def function() -> Any:
        return function.storage.store(1, "later")  # type: ignore[attr-defined]

    with pytest.raises(StorageConfigurationError, match="'later' not registered"):
        function()
    dm.register_provider("later", dm.provider("first"))
    assert dm.retrieve_by_key("first", function().key) == 1
    dm.register_provider("later", dm.provider("second"))
    assert dm.retrieve_by_key("second", function().key) == 1


@pytest.mark.parametrize("outside", [True, False])
def test_the_order_of_decorators_does_not_matter(dm: DataManager, outside: bool) -> None:
    def function(spore: Any) -> Any:
        return decorated.storage.store(spore, "first")

    decorators = [agent("name", memory=True), requires_storage("first"), storage_enabled(["first"])]
    decorated: Any = function
    for decorate in decorators if outside else reversed(decorators):
        decorated = decorate(decorated)
    assert dm.retrieve(decorated({"a": 1})) == {"a": 1}
    assert decorated.__name__ == "function"


def test_a_parameter_gets_the_storage(dm: DataManager) -> None:
    @storage_enabled(["first"])
    def function(data: Any, storage: Any = None, storage_manager: Any = None) -> Any:
        assert storage is storage_manager
        return storage.store(data, "first")

    @storage_enabled(["first"])
    async def awaited(data: Any, *, storage: Any = None) -> Any:
        return await asyncio.to_thread(storage.store, data, "first")

    assert dm.retrieve(function(1)) == 1
    assert dm.retrieve(asyncio.run(awaited(2))) == 2
    with pytest.raises(AssertionError):
        function(1, storage=None)


def test_a_server_that_is_down_keeps_a_function_from_being_called(dm: DataManager) -> None:
    called = []
    dm.register_provider("redis", RedisProvider(port=free_port()))

    @requires_storage(providers=["first", "redis"])
    def function() -> None:
        called.append(1)

    @requires_storage("redis")
    async def awaited() -> None:
        called.append(2)

    with pytest.raises(StorageConnectionError, match="Could not connect to Redis"):
        function()
    with pytest.raises(StorageConnectionError):
        asyncio.run(awaited())
    assert called == []
    dm.register_provider("redis", dm.provider("first"))
    function()
    asyncio.run(awaited())
    assert called == [1, 2]


def test_something_must_be_required() -> None:
    with pytest.raises(StorageConfigurationError, match="at least one provider"):
        requires_storage()
