"""Stores: values in each kind of place, vectors, and bodies that stream."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.plan import Plan
from benchmarks.sections.storage import places
from benchmarks.sections.storage import streams
from benchmarks.sections.storage import vectors
from benchmarks.table import Table

_PARTS = (places, vectors, streams)

LINES = tuple(line for part in _PARTS for line in part.LINES)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure one after another."""
    for part in _PARTS:
        yield from part.tables(plan)
