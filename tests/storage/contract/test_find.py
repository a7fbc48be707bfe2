"""Queries by paths into metadata and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from storage.core.errors import StorageKeyError
from storage.core.store import Store

EVENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "event:1": ({"user_id": 123, "action": "login"}, {"event_type": "authentication", "tags": ["a", "b"]}),
    "event:2": ({"user_id": 124, "action": "login"}, {"event_type": "authentication", "tags": []}),
    "event:3": ({"user_id": 123, "action": "order"}, {"event_type": "sale", "size": {"w": 1, "h": None}}),
    "note:1": ("a text", {"event_type": None, "flag": True, "tags": "a"}),
    "note:2": ([1, 2], {"flag": 1, "a.b": 1}),
}


@pytest.fixture(autouse=True)
def entries(store: Store) -> None:
    for key, (value, metadata) in EVENTS.items():
        store.put(key, value, metadata=metadata)


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
def test_filters(store: Store, filters: Mapping[str, Any], keys: list[str]) -> None:
    found = store.find(filters)
    assert [entry.key for entry in found] == keys
    assert [(entry.value, entry.metadata) for entry in found] == [EVENTS[key] for key in keys]


def test_a_prefix_and_a_limit(store: Store) -> None:
    assert [entry.key for entry in store.find({}, prefix="note:")] == ["note:1", "note:2"]
    assert [entry.key for entry in store.find({"metadata.event_type": "authentication"}, limit=1)] == ["event:1"]
    assert [entry.key for entry in store.find({"user_id": 123}, prefix="event:", limit=1)] == ["event:1"]


@pytest.mark.parametrize("filters", [{"": 1}, {1: 1}, {"a" * 1001: 1}, {str(n): 1 for n in range(33)}, None, "x"])
def test_what_is_no_filter(store: Store, filters: Any) -> None:
    with pytest.raises(StorageKeyError, match="filter"):
        store.find(filters)
