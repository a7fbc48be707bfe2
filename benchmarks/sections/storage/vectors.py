"""Stores: a search of 100,000 vectors, beside NumPy by hand over a matrix of them."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import compare
from benchmarks.harness import per_call
from benchmarks.plan import Plan
from benchmarks.sections.storage.places import table_in_sqlite
from benchmarks.summary import Line
from benchmarks.table import Table
from storage import MemoryEntries
from storage import Store

_NUMBER: Final = 100_000
_DIMENSIONS: Final = 384
_LIMIT: Final = 10
_AT_ONCE: Final = 500
_BY_HAND: Final = "NumPy by hand"
_TITLE: Final = f"Stores: search of {_NUMBER:,} vectors of {_DIMENSIONS} dimensions"
_IN_MEMORY: Final = "Isthmus, in memory"
_IN_SQLITE: Final = "Isthmus, a table in SQLite"
_PART: Final = "Isthmus, a table in SQLite, a prefix of 1,000"

LINES = (
    Line(f"search of {_NUMBER:,} × {_DIMENSIONS} in memory", _TITLE, _IN_MEMORY, _BY_HAND, 1.1),  # noqa: RUF001
    Line(f"search of {_NUMBER:,} × {_DIMENSIONS} in SQLite", _TITLE, _IN_SQLITE, _BY_HAND),  # noqa: RUF001
    Line(f"search of 1,000 of {_NUMBER:,} × {_DIMENSIONS} in SQLite", _TITLE, _PART, _BY_HAND),  # noqa: RUF001
)

Floats = NDArray[np.float32]


def tables(plan: Plan) -> Iterator[Table]:
    """Measure searches whose vectors the process has read before."""
    number = plan.of(_NUMBER)
    made = np.random.default_rng(1).standard_normal((number + 1, _DIMENSIONS)).astype(np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    matrix, query = made[:number], made[number]
    with TemporaryDirectory(prefix="isthmus-bench-") as folder, ExitStack() as resources:
        memory = Store(MemoryEntries(most_bytes=1 << 30, dimensions=_DIMENSIONS))
        table = Store(table_in_sqlite(Path(folder) / "vectors.db", resources, _DIMENSIONS))
        for store in (memory, table):
            _fill(store, matrix)
        cases: dict[str, Callable[[], Any]] = {
            _BY_HAND: partial(_best, matrix, query),
            _IN_MEMORY: partial(memory.search, query),
            _IN_SQLITE: partial(table.search, query),
            _PART: partial(table.search, query, prefix=_key(0)[:3]),
        }
        _check(cases)
        # One search of the whole table takes as long as many of the others.
        measures = {name: per_call(call, 1 if name == _IN_SQLITE else plan.of(10)) for name, call in cases.items()}
        yield compare(_TITLE, measures, baseline=_BY_HAND, plan=plan, note=f"the {_LIMIT} best")


def _key(place: int) -> str:
    return f"{place:06}"


def _fill(store: Store, matrix: Floats) -> None:
    for first in range(0, len(matrix), _AT_ONCE):
        vectors = {_key(first + place): vector for place, vector in enumerate(matrix[first : first + _AT_ONCE])}
        store.put_many({key: {"number": int(key)} for key in vectors}, vectors=vectors)


def _best(matrix: Floats, query: Floats) -> list[tuple[str, float]]:
    scores = matrix @ query
    best = np.argpartition(scores, len(scores) - _LIMIT)[len(scores) - _LIMIT :]
    return [(_key(place), float(scores[place])) for place in best[np.argsort(-scores[best])]]


def _check(cases: dict[str, Callable[[], Any]]) -> None:
    keys = [key for key, _ in cases[_BY_HAND]()]
    for name in (_IN_MEMORY, _IN_SQLITE):
        assert [entry.key for entry in cases[name]()] == keys, name
    cases[_PART]()
