"""Many entries at once: one request where a store takes several."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from typing import Any

from storage.core.store import Store


def fill(store: Store, values: Mapping[str, Any], vectors: Mapping[str, list[float]] | None = None) -> None:
    if store.capabilities.batches:
        store.put_many(values, vectors=vectors)
        return
    for key, value in values.items():
        store.put(key, value, vector=(vectors or {}).get(key))


def fill_keys(store: Store, keys: Iterable[str]) -> None:
    fill(store, {key: number for number, key in enumerate(keys)})
