"""Queries by paths into metadata and values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from typing import ClassVar

import pytest

from database.core.context import Context
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from storage.backends.file.backend import FileEntries
from storage.backends.memory import MemoryEntries
from storage.core.errors import StorageKeyError
from storage.core.layer import Layer
from storage.core.store import MAX_PAGE
from storage.core.store import Store

EVENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "event:1": ({"user_id": 123, "action": "login"}, {"event_type": "authentication", "tags": ["a", "b"]}),
    "event:2": ({"user_id": 124, "action": "login"}, {"event_type": "authentication", "tags": []}),
    "event:3": ({"user_id": 123, "action": "order"}, {"event_type": "sale", "size": {"w": 1, "h": None}}),
    "note:1": ("a text", {"event_type": None, "flag": True, "tags": "a"}),
    "note:2": ([1, 2], {"flag": 1, "a.b": 1}),
}


class Counted(Layer):
    """A layer that knows which operations have passed."""

    name: ClassVar[str] = "counted"

    def __init__(self) -> None:
        super().__init__()
        self.kinds: list[str] = []

    def around(self, inner: Handler) -> Handler:
        def call(operation: Operation, context: Context) -> Result:
            self.kinds.append(operation.kind)
            return inner(operation, context)

        return call


def filled(store: Store) -> Store:
    for key, (value, metadata) in EVENTS.items():
        store.put(key, value, metadata=metadata)
    return store


@pytest.mark.parametrize(
    ("filters", "keys"),
    [
        ({}, list(EVENTS)),
        ({"metadata.event_type": "authentication"}, ["event:1", "event:2"]),
        ({"metadata.event_type": "authentication", "data.user_id": 123}, ["event:1"]),
        ({"user_id": 123}, ["event:1", "event:3"]),
        ({"metadata.tags": "a"}, ["event:1", "note:1"]),
        ({"metadata.tags": []}, ["event:2"]),
        ({"metadata.size.w": 1}, ["event:3"]),
        ({"metadata.size.h": None}, ["event:3"]),
        ({"metadata.event_type": None}, ["note:1"]),
        ({"metadata.flag": True}, ["note:1"]),
        ({"metadata.flag": 1}, ["note:2"]),
        ({"metadata.flag": 1.0}, ["note:2"]),
        ({"metadata": {"flag": 1, "a.b": 1}}, ["note:2"]),
        ({"data": "a text"}, ["note:1"]),
        ({"data": 2}, ["note:2"]),
        ({"key": "note:2"}, ["note:2"]),
        ({"metadata.missing": None}, []),
        ({"metadata.tags.0": "a"}, []),
        ({"metadata.event_type": "' or 1=1 --"}, []),
        ({"metadata.event_type' or '1": "x"}, []),
    ],
)
def test_filters(filters: Mapping[str, Any], keys: list[str]) -> None:
    found = filled(Store(MemoryEntries())).find(filters)
    assert [entry.key for entry in found] == keys
    assert [(entry.value, entry.metadata) for entry in found] == [EVENTS[key] for key in keys]


@pytest.mark.parametrize("filters", [{"": 1}, {1: 1}, {"a" * 1001: 1}, {str(n): 1 for n in range(33)}, None, "x"])
def test_what_is_no_filter(filters: Any) -> None:
    with pytest.raises(StorageKeyError, match="filter"):
        Store(MemoryEntries()).find(filters)


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
def test_a_limit_out_of_range(limit: int) -> None:
    store = Store(MemoryEntries())
    for call in (lambda: store.page(limit=limit), lambda: store.find({}, limit=limit)):
        with pytest.raises(StorageKeyError, match="limit"):
            call()


@pytest.mark.parametrize("filters", [{}, {"metadata.m": 1}, {"data.d": 1}, {"metadata.m": 1, "data.d": 1}])
def test_a_damaged_entry_is_left_out_and_named(
    tmp_path: Path, filters: Mapping[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(FileEntries(tmp_path))
    for key in "abc":
        store.put(key, {"d": 1}, metadata={"m": 1})
    (tmp_path / "b").write_bytes(b"{")
    assert [entry.key for entry in store.find(filters, limit=2)] == ["a", "c"]
    assert "the entry 'b' cannot be read" in caplog.text


@pytest.mark.parametrize("limit", [3, 100])
def test_entries_that_were_found_by_metadata_are_read_together(limit: int) -> None:
    counted = Counted()
    store = Store(MemoryEntries(), layers=[counted])
    for number in range(150):
        store.put(f"{number:03}", number, metadata={"even": number % 2 == 0})
    counted.kinds.clear()
    assert [entry.value for entry in store.find({"metadata.even": True}, limit=limit)] == list(range(0, 150, 2))[:limit]
    assert counted.kinds == ["scan", "fetch_many"]
