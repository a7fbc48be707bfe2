"""The data manager: references, conditions, and providers of others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage import BaseStorageProvider
from storage import DataManager
from storage import DataReference
from storage import FileSystemProvider
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageConnectionError
from storage import StorageError
from storage import StorageKeyError
from storage import StorageNotFoundError
from storage import StorageResult
from storage import StorageSerializationError
from storage import StorageUnsupportedError

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@given(NAMES, NAMES)
def test_a_reference_is_the_same_after_a_round_trip(storage_type: str, key: str) -> None:
    reference = DataReference(storage_type, key, {"a": 1}, "version")
    assert DataReference.from_uri(reference.to_uri()) == reference


@pytest.mark.parametrize(
    "uri", ["", "storage://", "storage:///key", "storage://name", "http://name/key", "storage://a/%FF"]
)
def test_another_uri_is_no_reference(dm: DataManager, uri: str) -> None:
    with pytest.raises(StorageKeyError, match="storage://postgresql/event_001"):
        dm.retrieve(uri)


def test_data_is_retrieved_by_the_uri_of_its_reference(dm: DataManager) -> None:
    uri = dm.store([1], "first", "a/b c").to_uri()
    assert uri == "storage://first/a%2Fb%20c"
    assert dm.retrieve(uri) == [1]
    assert (dm.delete(uri), dm.delete(uri)) == (True, False)
    with pytest.raises(StorageNotFoundError):
        dm.retrieve(uri)


def test_each_key_that_is_made_is_a_new_one(dm: DataManager) -> None:
    references = {dm.store({"same": "data"}, "first") for _ in range(100)}
    assert len(references) == 100


def test_a_version_can_be_expected(dm: DataManager) -> None:
    first = dm.store(1, "first", "key", if_absent=True)
    second = dm.store(2, "first", "key", expected=first.version)
    with pytest.raises(StorageConflictError):
        dm.store(3, "first", "key", expected=first.version)
    with pytest.raises(StorageConflictError):
        dm.store(3, "first", "key", if_absent=True)
    assert dm.retrieve(second) == 2


def test_ttl_is_a_positive_number_of_seconds(dm: DataManager) -> None:
    with pytest.raises(StorageKeyError, match="time to live"):
        dm.store(1, "first", metadata={"ttl": 0})


@pytest.mark.parametrize("metadata", [["a"], "text", 7])
def test_metadata_must_be_a_dictionary(dm: DataManager, metadata: Any) -> None:
    with pytest.raises(StorageSerializationError, match="must be a dictionary"):
        dm.store(1, "first", metadata=metadata)


@pytest.mark.parametrize("filters", [["a"], {1: 2}, None])
def test_filters_are_checked_before_a_provider_sees_them(dm: DataManager, filters: Any) -> None:
    with pytest.raises(StorageKeyError):
        dm.query("first", filters)


@pytest.mark.parametrize("name", ["", None, 7])
def test_a_provider_has_a_name(dm: DataManager, name: Any) -> None:
    with pytest.raises(StorageKeyError, match="the name of a provider"):
        dm.store(1, name)
    with pytest.raises(StorageKeyError, match="the name of a provider"):
        dm.register_provider(name, dm.provider("first"))


def test_only_providers_and_stores_are_registered(dm: DataManager) -> None:
    with pytest.raises(StorageConfigurationError, match="not dict"):
        dm.register_provider("x", {})  # type: ignore[arg-type]
    with pytest.raises(StorageConfigurationError, match="not DataManager"):
        dm.register_provider("x", dm)  # type: ignore[arg-type]


def test_a_folder_that_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(StorageConfigurationError, match="does not exist"):
        FileSystemProvider(str(tmp_path / "missing"), auto_create=False)


class Custom(BaseStorageProvider):
    """Synchronous, and only with what every provider must have."""

    def __init__(self) -> None:
        super().__init__("custom")
        self.kept: dict[str, Any] = {}

    def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        if data is None:
            return StorageResult(success=False, key=key, error="it takes no None")
        self.kept[key] = data
        return StorageResult(success=True, key=key)

    def retrieve(self, key: str) -> Any:
        return self.kept[key]

    def delete(self, key: str) -> bool:
        return self.kept.pop(key, None) is not None


class Awaited(BaseStorageProvider):
    """Asynchronous, with a lock that belongs to one event loop; it calls another provider."""

    def __init__(self, dm: DataManager) -> None:
        super().__init__("awaited")
        self._dm = dm
        self._lock: asyncio.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def store(self, key: str, data: Any, metadata: dict[str, Any]) -> StorageResult:
        await self._one_loop()
        self._dm.store(data, "first", key, metadata)
        return StorageResult(success=True, key=key)

    async def retrieve(self, key: str) -> Any:
        await self._one_loop()
        return self._dm.retrieve_by_key("first", key)

    async def delete(self, key: str) -> bool:
        await self._one_loop()
        return self._dm.delete_by_key("first", key)

    async def query(self, filters: dict[str, Any], limit: int) -> list[Any]:
        return self._dm.query("first", filters, limit)

    async def health_check(self) -> bool:
        return False

    async def _one_loop(self) -> None:
        self._loop = self._loop or asyncio.get_running_loop()
        assert asyncio.get_running_loop() is self._loop


def test_a_provider_with_the_least(dm: DataManager) -> None:
    dm.register_provider("custom", Custom())
    assert dm.retrieve(dm.store([1], "custom")) == [1]
    with pytest.raises(StorageError, match="'custom' did not store 'k': it takes no None"):
        dm.store(None, "custom", "k")
    with pytest.raises(StorageUnsupportedError, match="queries"):
        dm.query("custom", {"metadata.a": 1})
    with pytest.raises(StorageUnsupportedError, match="versions"):
        dm.store(1, "custom", if_absent=True)
    dm.check("custom")


def test_an_asynchronous_provider(dm: DataManager) -> None:
    dm.register_provider("awaited", Awaited(dm))
    reference = dm.store([1], "awaited", metadata={"a": 1})
    assert dm.retrieve(reference) == [1]
    assert dm.query("awaited", {"metadata.a": 1}) == [[1]]
    assert dm.delete(reference) is True
    with pytest.raises(StorageConnectionError, match=r"^Provider 'awaited' cannot be reached$"):
        dm.check("awaited")


def test_an_asynchronous_provider_is_called_inside_of_a_running_loop(dm: DataManager) -> None:
    dm.register_provider("awaited", Awaited(dm))

    async def store() -> Any:
        here = dm.retrieve(dm.store([1], "awaited"))
        there = await asyncio.to_thread(lambda: dm.retrieve(dm.store([2], "awaited")))
        return here, there

    assert asyncio.run(store()) == ([1], [2])


class Nested(Awaited):
    """Calls another asynchronous provider, and without anything that belongs to a loop."""

    def __init__(self, dm: DataManager, inner: str) -> None:
        super().__init__(dm)
        self._inner = inner

    async def retrieve(self, key: str) -> Any:
        await asyncio.sleep(0)
        return self._dm.retrieve_by_key(self._inner, key)


def test_an_asynchronous_provider_may_call_another_one(dm: DataManager) -> None:
    dm.store([1], "first", "key")
    for name, inner in (("innermost", "first"), ("inner", "innermost"), ("outer", "inner")):
        dm.register_provider(name, Nested(dm, inner))
    assert dm.retrieve_by_key("outer", "key") == [1]


class Nonsense(Custom):
    def store(self, key: str, data: Any, metadata: Mapping[str, Any]) -> Any:
        return True


def test_a_provider_must_say_what_became_of_a_write(dm: DataManager) -> None:
    dm.register_provider("custom", Nonsense())
    with pytest.raises(StorageError, match="must return a StorageResult, not bool"):
        dm.store(1, "custom")
