"""Directions: what they are made of, and that the best are found as if all had been compared exactly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.core.errors import StorageVectorError
from storage.core.vectors.directions import Directions
from storage.core.vectors.directions import direction
from storage.core.vectors.directions import floats
from storage.core.vectors.directions import scores

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**62), 2**62)
small = st.lists(st.integers(-2, 2), min_size=3, max_size=3).filter(any)


@given(vector=st.lists(numbers, min_size=1, max_size=9).filter(any))
def test_a_direction_has_length_1_and_is_its_own(vector: list[float]) -> None:
    made = direction(vector, len(vector))
    assert np.linalg.norm(floats(made).astype(np.float64)) == pytest.approx(1, abs=1e-6)
    assert direction(floats(made), len(vector)) == made
    assert direction(tuple(vector), len(vector)) == made
    assert scores(floats(made)[np.newaxis], floats(made)) == [1.0]


def test_a_direction_of_the_largest_and_the_smallest_numbers() -> None:
    half = math.sqrt(0.5)
    for number in (1e308, 1e-308, 5e-324, 1e-45, 1):
        assert floats(direction([number, -number], 2)).tolist() == pytest.approx([half, -half], abs=1e-7)
    assert floats(direction([0, 3e-320, 0], 3)).tolist() == [0, 1, 0]
    assert floats(direction(np.array([1, 2], np.float16), 2)).tolist() == pytest.approx([0.4472136, 0.8944272])


def test_an_error_says_how_many_dimensions_there_are() -> None:
    with pytest.raises(StorageVectorError, match="must have 3 dimensions, not 2"):
        direction([1, 2], 3)
    with pytest.raises(StorageVectorError, match="matrix"):
        direction(np.ones((3, 3)), 3)


@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | small), max_size=30), small, st.integers(1, 9))
def test_the_best_are_those_of_a_dictionary(
    steps: list[tuple[str, list[int] | None]], query: list[int], wanted: int
) -> None:
    directions, kept = Directions(3), dict[str, bytes]()
    for name, vector in steps:
        if vector is None:
            directions.discard(name)
            kept.pop(name, None)
        else:
            kept[name] = direction(vector, 3)
            directions.set(name, kept[name])
    stored = direction(query, 3)
    exact = [(name, scores(floats(vector)[np.newaxis], floats(stored))[0]) for name, vector in kept.items()]
    assert directions.best(stored, wanted) == sorted(exact, key=lambda one: (-one[1], one[0]))[:wanted]
    assert {name: directions.get(name) for name in directions.names()} == kept


def test_more_than_there_is_room_for_at_first() -> None:
    chance = np.random.default_rng(3)
    vectors = [direction(vector, 4) for vector in chance.standard_normal((3_000, 4))]
    directions = Directions(4)
    for number, vector in enumerate(vectors):
        directions.set(f"{number:04}", vector)
    for number in range(0, 3_000, 2):
        directions.discard(f"{number:04}")
    assert [directions.best(vectors[number], 1) for number in (1, 2_999)] == [[("0001", 1.0)], [("2999", 1.0)]]
    assert len(directions) == 1_500
    found = directions.best(vectors[0], 1_500)
    assert directions.best(vectors[0], 7) == found[:7]
