"""What is known of a store and its layers without a call, for the status page."""

from __future__ import annotations

from typing import TypedDict

from database.resilience.metrics import OperationCounts
from database.resilience.pipeline import PipelineSnapshot


class LayerSnapshot(TypedDict):
    """What a layer has done.

    ``operations`` are those that have reached it, with the durations until its answer; ``counts`` has its own numbers,
    such as the hits of a cache.
    """

    name: str
    operations: dict[str, OperationCounts]
    counts: dict[str, int]


class StoreSnapshot(TypedDict):
    """The state of a store.

    ``pipeline`` is None for a backend with a pipeline of its own; ``layers`` begin with the first one.
    """

    name: str
    pipeline: PipelineSnapshot | None
    layers: list[LayerSnapshot]
