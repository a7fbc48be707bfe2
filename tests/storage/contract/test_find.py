"""Queries by paths into metadata and values; what each filter means is tested in ``core``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from storage.core.store import Store

ENTRIES: dict[str, tuple[Any, dict[str, Any]]] = {
    "event:1": ({"user_id": 123}, {"event_type": "authentication", "tags": ["a", "b"]}),
    "event:2": ({"user_id": 124}, {"event_type": "authentication", "tags": []}),
    "event:3": ({"user_id": 123}, {"event_type": "sale"}),
    "note:1": (b"\0\xff", {"event_type": None, "flag": True}),
}


def test_entries_are_found_by_metadata_and_by_values(store: Store) -> None:
    for key, (value, metadata) in ENTRIES.items():
        store.put(key, value, metadata=metadata)

    def found(filters: Mapping[str, Any], prefix: str = "", limit: int = 100) -> list[str]:
        entries = store.find(filters, prefix=prefix, limit=limit)
        assert [(entry.value, entry.metadata) for entry in entries] == [ENTRIES[entry.key] for entry in entries]
        return [entry.key for entry in entries]

    assert found({}) == list(ENTRIES)
    assert found({"metadata.event_type": "authentication"}) == ["event:1", "event:2"]
    assert found({"metadata.tags": "a"}) == ["event:1"]
    assert found({"metadata.event_type": None}) == ["note:1"]
    assert found({"metadata.event_type": "authentication", "data.user_id": 124}) == ["event:2"]
    assert found({"user_id": 123}, prefix="event:", limit=1) == ["event:1"]
    assert found({}, prefix="note:") == ["note:1"]
    assert found({"metadata.event_type": "authentication"}, limit=1) == ["event:1"]
    assert found({"metadata.missing": None}) == []
