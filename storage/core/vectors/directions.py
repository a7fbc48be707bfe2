"""Vectors, by which a search finds the most similar entries; the same scores in the same order on every backend.

A store keeps the direction of a vector: 32-bit floats, of length 1 together. The score of two vectors is the cosine of
the angle between them, from -1 to 1, rounded to :data:`DIGITS` digits, which is what 32-bit floats tell apart. Entries
with the same score are in the order of their keys. Whatever finds the candidates, the scores are calculated here.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any
from typing import Final

import numpy as np
from numpy.typing import NDArray

from storage.core.errors import StorageVectorError

MAX_DIMENSIONS: Final = 16_000
DIGITS: Final = 6

Vector = Sequence[float] | NDArray[Any]
"""As callers give it."""

Floats = NDArray[np.float32]
Scored = tuple[str, float]
"""A name, and its score."""

_NEARLY_1: Final = 2.0**-24
"""How far the length of a direction is from 1 at most, because its parts are rounded."""

_FIRST: Final = 1_024
_ROWS: Final = 4_096
"""How many rows are compared at once."""


def direction(vector: object, dimensions: int) -> bytes:
    """The direction of a vector, as a store keeps it.

    :param vector: a list, tuple or array of so many numbers.
    :raises StorageVectorError: if it is not, has a part that is no finite number, or is 0 everywhere.
    """
    parts = _numbers(vector)
    if parts.shape != (dimensions,):
        raise StorageVectorError(f"a vector must have {dimensions:,} dimensions, not {_shape(parts)}")
    largest = float(np.abs(parts).max())
    if not np.isfinite(largest):
        raise StorageVectorError("a part of the vector is no finite number")
    if largest == 0:
        raise StorageVectorError("the vector is 0 everywhere, and so has no direction")
    scaled = parts / largest
    length = float(np.linalg.norm(scaled))
    # What was a direction already stays as it is.
    made = parts if abs(length * largest - 1) <= _NEARLY_1 else scaled / length
    return made.astype("<f4").tobytes()


def floats(stored: bytes) -> Floats:
    """The numbers of a stored vector."""
    return np.frombuffer(stored, "<f4")


def scores(rows: Floats, query: Floats) -> Sequence[float]:
    """The scores of vectors, which are the rows of a matrix."""
    wanted = query.astype(np.float64)
    parts = [
        (rows[first : first + _ROWS].astype(np.float64) * wanted).sum(axis=1) for first in range(0, len(rows), _ROWS)
    ]
    # Adding 0 makes 0 of -0.
    return [] if not parts else list((np.concatenate(parts).round(DIGITS) + 0.0).tolist())


def margin(dimensions: int) -> float:
    """How much a score of 32-bit arithmetic may differ from that of another vector which is ranked before it."""
    return dimensions * 2.0**-23 + 10.0**-DIGITS


class Directions:
    """Named directions in one contiguous matrix. It is not thread-safe.

    :param dimensions: the length of each.
    """

    def __init__(self, dimensions: int) -> None:
        self._matrix: Floats = np.empty((_FIRST, dimensions), np.float32)
        self._rows: dict[str, int] = {}
        self._names: list[str] = []

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def names(self) -> list[str]:
        """All names."""
        return list(self._names)

    def get(self, name: str) -> bytes:
        """The direction of this name; empty if there is none."""
        row = self._rows.get(name)
        return b"" if row is None else self._matrix[row].astype("<f4").tobytes()

    def set(self, name: str, stored: bytes) -> None:
        """Keep a direction, instead of the one of this name; an empty one is none."""
        if not stored:
            self.discard(name)
            return
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = len(self._names)
            self._names.append(name)
            if row == len(self._matrix):
                self._matrix = np.concatenate([self._matrix, np.empty_like(self._matrix)])
        self._matrix[row] = floats(stored)

    def discard(self, name: str) -> None:
        """Forget the direction of this name, if there is one."""
        row = self._rows.pop(name, None)
        if row is None:
            return
        last = self._names.pop()
        if last != name:
            self._matrix[row] = self._matrix[len(self._names)]
            self._names[row] = last
            self._rows[last] = row

    def best(
        self, stored: bytes, wanted: int, order: Callable[[str], str] = str, among: Iterable[str] | None = None
    ) -> list[Scored]:
        """Those most similar to a direction, the best first, or all if there are fewer.

        :param order: by what those with one score are ordered.
        :param among: only those of these names.
        """
        query = floats(stored)
        rows = self._candidates(query, wanted, None if among is None else self._rows_of(among))
        names = [self._names[row] for row in rows]
        found = zip(names, scores(self._matrix[rows], query), strict=True)
        return sorted(found, key=lambda scored: (-scored[1], order(scored[0])))[:wanted]

    def _rows_of(self, names: Iterable[str]) -> NDArray[np.intp]:
        return np.array([self._rows[name] for name in names if name in self._rows], np.intp)

    def _candidates(self, query: Floats, wanted: int, among: NDArray[np.intp] | None) -> NDArray[np.intp]:
        """The rows of all that may be among the best, by 32-bit arithmetic."""
        number = len(self._names) if among is None else len(among)
        if wanted >= number:
            return np.arange(number) if among is None else among
        about = (self._matrix[:number] if among is None else self._matrix[among]) @ query
        least = np.partition(about, number - wanted)[number - wanted]
        places = np.flatnonzero(about >= least - margin(len(query)))
        return places if among is None else among[places]


def _numbers(vector: object) -> NDArray[np.float64]:
    try:
        parts = np.asarray(vector)
    except (ValueError, TypeError) as error:
        raise StorageVectorError("a vector must be a list of numbers") from error
    if parts.dtype.kind not in "iuf" and parts.size:
        raise StorageVectorError(f"a vector must be a list of numbers, not of {parts.dtype.name}")
    return parts.astype(np.float64)


def _shape(parts: NDArray[np.float64]) -> str:
    return f"{parts.shape[0]:,}" if parts.ndim == 1 else f"a matrix of {parts.ndim} levels"
