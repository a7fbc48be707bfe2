"""Vectors: a search finds the same entries with the same scores in the same order on every backend that has them."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from database.adapter.base import DatabaseAdapter
from database.core.context import as_application
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import StorageVectorError
from storage.core.store import Store
from tests.clocks import WallClock
from tests.storage.contract.fill import fill
from tests.storage.contract.places import DIMENSIONS
from tests.storage.contract.places import Place

ZEROS = [0.0] * (DIMENSIONS - 2)
EAST, NORTH = [1.0, 0.0, *ZEROS], [0.0, 1.0, *ZEROS]


def at(degrees: float, length: float = 1.0) -> list[float]:
    """A vector between east and north."""
    return [length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees)), *ZEROS]


def found(store: Store, vector: Sequence[float], **options: Any) -> list[tuple[str, float | None]]:
    return [(entry.key, entry.score) for entry in store.search(vector, **options)]


def has_vectors(store: Store) -> bool:
    """Whether it has; if not, that it refuses them before anything is sent."""
    if store.capabilities.dimensions is not None:
        assert store.capabilities.dimensions == DIMENSIONS
        return True
    with pytest.raises(StorageUnsupportedError, match="vectors"):
        store.put("key", 1, vector=EAST)
    with pytest.raises(StorageUnsupportedError, match="vectors"):
        store.search(EAST)
    assert not store.exists("key")
    return False


def test_the_most_similar_entries_come_first(store: Store) -> None:
    if not has_vectors(store):
        return
    for key, degrees in (("b", 60), ("opposite", 180), ("a", -60), ("near", 10)):
        store.put(key, {"degrees": degrees}, metadata={"m": key}, vector=at(degrees, length=degrees * degrees))
    store.put("east", b"\x00\xff", vector=[3, *[0] * (DIMENSIONS - 1)])
    store.put("none", 1)
    assert found(store, at(0, length=1e-30)) == [
        ("east", 1.0),
        ("near", round(math.cos(math.radians(10)), 6)),
        ("a", 0.5),
        ("b", 0.5),
        ("opposite", -1.0),
    ]
    assert found(store, EAST, limit=3) == found(store, EAST)[:3]
    assert found(store, NORTH, limit=1) == [("b", round(math.cos(math.radians(30)), 6))]
    east, near = store.search(EAST, limit=2)
    assert (east.value, near.value, near.metadata) == (b"\x00\xff", {"degrees": 10}, {"m": "near"})
    assert near.etag == store.entry("near").etag


def test_a_vector_is_kept_with_its_entry(store: Store) -> None:
    if not has_vectors(store):
        return
    put = store.put("key", 1, vector=at(30, length=7))
    assert put.vector is None
    vector = store.entry("key").vector
    assert vector == pytest.approx(at(30), abs=1e-7)
    assert store.search(EAST)[0].vector == vector
    # Also when it is stored again, as a move does.
    store.put("key", 2, vector=vector)
    assert store.entry("key").vector == vector
    head = store.head("key")
    assert head is not None
    assert (head.vector, head.value) == (None, None)
    store.put("key", 3)
    assert store.entry("key").vector is None
    assert store.search(EAST) == []


def test_what_is_deleted_replaced_or_expired_is_not_found(store: Store, clock: WallClock) -> None:
    if not has_vectors(store):
        return
    store.put("deleted", 1, vector=EAST)
    store.put("expired", 1, vector=EAST, ttl=10)
    store.put("replaced", 1, vector=EAST)
    store.put("stays", 1, vector=at(80))
    assert [key for key, _ in found(store, EAST)] == ["deleted", "expired", "replaced", "stays"]
    store.delete("deleted")
    store.put("replaced", 2, vector=at(100))
    clock.advance(11)
    assert [key for key, _ in found(store, EAST, limit=2)] == ["stays", "replaced"]
    assert store.clear("s") == 1
    assert [key for key, _ in found(store, EAST)] == ["replaced"]


def test_filters_on_keys_metadata_and_values(store: Store) -> None:
    if not has_vectors(store):
        return
    for number in range(12):
        metadata = {"third": number % 3, "tags": [f"t{number % 5}"], "yes": number % 2 == 0, "none": None}
        store.put(f"{number:02}", {"half": number % 2, "list": [number]}, metadata=metadata, vector=at(number))

    def keys(filters: dict[str, Any], limit: int = 2) -> list[int]:
        return [int(key) for key, _ in found(store, EAST, filters=filters, limit=limit)]

    assert keys({}) == [0, 1]
    assert keys({"metadata.third": 2}) == [2, 5]
    assert keys({"metadata.tags": "t3"}) == [3, 8]
    assert keys({"metadata.yes": False, "metadata.tags": "t4"}) == [9]
    assert keys({"metadata.yes": 0}) == keys({"metadata.missing": None}) == []
    assert keys({"metadata.none": None}, limit=1) == [0]
    assert keys({"key": "11"}) == keys({"data.list": 11}) == [11]
    assert keys({"half": 1, "metadata.third": 1}) == [1, 7]
    assert keys({"half": 1}, limit=100) == list(range(1, 12, 2))


def test_only_keys_with_a_prefix(store: Store) -> None:
    if not has_vectors(store):
        return
    for number, key in enumerate(("a/1", "a/2", "a", "b/1", "a\x00/", "a/\x00")):
        store.put(key, {"n": number}, metadata={"even": number % 2 == 0}, vector=at(number))

    def keys(prefix: str, **options: Any) -> list[str]:
        return [key for key, _ in found(store, EAST, prefix=prefix, **options)]

    assert keys("a/") == ["a/1", "a/2", "a/\x00"]
    assert keys("a\x00") == ["a\x00/"]
    assert keys("a/", limit=2) == ["a/1", "a/2"]
    assert keys("a/", filters={"metadata.even": False}) == ["a/2", "a/\x00"]
    assert keys("c") == keys("a/1/") == []
    assert keys("") == ["a/1", "a/2", "a", "b/1", "a\x00/", "a/\x00"]
    # Also what has changed since.
    store.delete("a/1")
    store.put("a/3", 1, vector=NORTH)
    store.put("b/1", 1, vector=at(50))
    assert keys("a/") == ["a/2", "a/\x00", "a/3"]
    assert keys("") == ["a/2", "a", "a\x00/", "a/\x00", "b/1", "a/3"]


def test_the_order_is_that_of_exact_arithmetic(store: Store) -> None:
    if not has_vectors(store):
        return
    chance = random.Random(7)
    # Many are nearly alike, and some are the same.
    middle = [chance.gauss(0, 1) for _ in range(DIMENSIONS)]
    vectors = {
        f"{chance.random():.3f} {number}": [part + spread * chance.gauss(0, 1) for part in middle]
        for number, spread in enumerate([0.0] * 4 + [1e-7] * 16 + [1e-3] * 16 + [1.0] * 16)
    }
    fill(store, dict.fromkeys(vectors, 1), vectors)
    query = [part + 0.1 * chance.gauss(0, 1) for part in middle]

    def cosine(vector: list[float]) -> float:
        return sum(a * b for a, b in zip(vector, query, strict=True)) / math.hypot(*vector) / math.hypot(*query)

    best = found(store, query, limit=100)
    for key, score in best:
        assert score == pytest.approx(cosine(vectors[key]), abs=2e-6)
    assert best == sorted(best, key=lambda one: (-(one[1] or 0), one[0]))
    assert [found(store, query, limit=limit) for limit in (1, 3, 9, 30)] == [best[:limit] for limit in (1, 3, 9, 30)]


WRONG: dict[str, Any] = {
    "too short": EAST[:-1],
    "too long": [*EAST, 0.0],
    "empty": [],
    "not a number": [math.nan, *EAST[1:]],
    "infinite": [*EAST[:-1], math.inf],
    "zero": [0.0] * DIMENSIONS,
    "text": ["1"] * DIMENSIONS,
    "one text": "1" * DIMENSIONS,
    "truth": [True] * DIMENSIONS,
    "nested": [EAST] * DIMENSIONS,
    "uneven": [[1.0], *EAST[1:]],
    "nothing": [None, *EAST[1:]],
    "a number": 1.0,
    "too large": [10**400, *EAST[1:]],
}


def test_what_is_no_vector_is_refused(store: Store) -> None:
    if not has_vectors(store):
        return
    for vector in WRONG.values():
        for call in (store.search, lambda vector: store.put("key", 1, vector=vector)):
            with pytest.raises(StorageVectorError, match="vector"):
                call(vector)
    for limit in (0, 1_001):
        with pytest.raises(StorageKeyError):
            store.search(EAST, limit=limit)
    assert store.count() == 0


def test_a_batch_with_vectors(store: Store) -> None:
    if not (has_vectors(store) and store.capabilities.batches):
        return
    store.put_many({"a": 1, "b": 2, "c": 3}, vectors={"a": EAST, "c": NORTH})
    assert found(store, NORTH) == [("c", 1.0), ("a", 0.0)]
    with pytest.raises(StorageKeyError, match="'d'"):
        store.put_many({"a": 1}, vectors={"d": EAST})
    with pytest.raises(StorageVectorError):
        store.put_many({"a": 1, "d": 2}, vectors={"a": EAST, "d": ZEROS})
    assert found(store, NORTH) == [("c", 1.0), ("a", 0.0)]


class _UndoneError(Exception):
    pass


def change_and_fail(store: Store, database: DatabaseAdapter) -> None:
    # Other tests of this database have made an app, in which every call has a caller.
    with as_application(), database.transaction():
        store.delete("old")
        store.put("new", 1, vector=at(1))
        store.put("changed", 1, vector=NORTH)
        # It finds what it has written.
        assert [key for key, _ in found(store, EAST)] == ["new", "changed"]
        raise _UndoneError


def test_a_search_joins_the_transaction(store: Store, place: Place) -> None:
    if place.database is None or not has_vectors(store):
        return
    store.put("old", 1, vector=EAST)
    store.put("changed", 1, vector=at(5))
    assert found(store, EAST)[0] == ("old", 1.0)
    with pytest.raises(_UndoneError):
        change_and_fail(store, place.database)
    assert [key for key, _ in found(store, EAST)] == ["old", "changed"]
