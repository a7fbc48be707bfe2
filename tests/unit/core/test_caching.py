"""Caches keep to their bytes, and keep what is asked for again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from database.core.caching import ByteCache
from database.core.caching import footprint
from database.core.caching import remembered

MOST = 1600


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 200)), max_size=200))
def test_it_never_takes_more_than_its_bytes(puts: list[tuple[int, int]]) -> None:
    cache: ByteCache[int] = ByteCache(MOST)
    for key, size in puts:
        cache.get(key)
        cache.put(key, -key, size)
        assert cache.bytes <= MOST
        assert cache.get(key) in {None, -key}


def test_what_is_asked_for_again_outlasts_what_is_not() -> None:
    cache: ByteCache[str] = ByteCache(MOST)
    cache.put("wanted", "here", 100)
    for number in range(100):
        assert cache.get("wanted") == "here"
        cache.put(number, "once", 100)
    assert cache.get(0) is None
    assert cache.bytes <= MOST


def test_what_is_too_large_is_not_kept() -> None:
    cache: ByteCache[str] = ByteCache(MOST)
    cache.put("large", "no", MOST // 16 + 1)
    assert cache.get("large") is None
    assert cache.bytes == 0


def test_results_of_short_texts_are_remembered() -> None:
    asked: list[str] = []

    @remembered(MOST, len)
    def upper(text: str) -> str:
        asked.append(text)
        return text.upper()

    long = "b" * MOST
    assert [upper("a"), upper("a"), upper(long), upper(long)] == ["A", "A", long.upper(), long.upper()]
    assert asked == ["a", long, long]


def test_a_footprint_counts_what_tuples_hold() -> None:
    assert footprint(("a" * 1000, ("b" * 1000,))) > footprint(("a" * 1000,)) + 1000
