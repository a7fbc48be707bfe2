"""Values and metadata come back as they were; which types there are is tested in ``core``."""

from __future__ import annotations

from typing import Any

from storage.core.store import Store
from tests.storage.contract.fill import fill
from tests.storage.core.test_values import EDGES


def test_values_at_the_edges(store: Store) -> None:
    values: list[Any] = [*EDGES, None, False, 0, "", [], {}, b"", b"\0" * 100, [b"{}", {"deep": [[{"a": [{}]}]]}]]
    given = {f"{number:03}": value for number, value in enumerate(values)}
    fill(store, given)
    found = {entry.key: entry.value for entry in store.find({}, limit=1_000)}
    assert {key: repr(value) for key, value in found.items()} == {key: repr(value) for key, value in given.items()}
    assert [store.load(key) for key in list(given)[::9]] == list(given.values())[::9]


def test_metadata_at_the_edges(store: Store) -> None:
    deep: Any = "bottom"
    for _ in range(20):
        deep = {"down": [deep]}
    metadata = {"deep": deep, "whole": 1.0, "large": 2**60, "small": -(2**63), "$odd.key": "é\u2028", "": None}
    store.put("key", 1, metadata=metadata)
    assert repr(store.entry("key").metadata) == repr(metadata)
    (entry,) = store.page().entries
    assert repr(entry.metadata) == repr(metadata)


def test_a_large_value(store: Store) -> None:
    value = bytes(range(256)) * (min(store.capabilities.largest, 1 << 20) // 256)
    store.put("key", value)
    assert store.load("key") == value
