"""Keys: those that look alike are kept apart, and found again in their order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from storage.core.errors import StorageKeyError
from storage.core.store import MAX_PAGE
from storage.core.store import Store

HOSTILE = [
    *("../a", "..", ".", "/", "a/b", "a//b", "/a", "a\\b", "~", "~root", "C:\\a", "con", "a.", "a ", " a", "a.json"),
    *("\0", "a\0b", "a\x01b", "a\x01\x01b", "\x01\x02", "\n", "\r\n", "\t", "\x7f", "\u202e", "\ufeff", "\U0010ffff"),
    *("a:b", "a_b", "a::b", "a,b", "a b", "a-b", "a.b", "A", "a", "AB", "aB", "ab"),
    *("\u00e9", "e\u0301", "\u212b", "\u00c5", "ss", "\u00df", "\u0130", "i", "\u4e2d", "\U0001f600"),
    *("*", "?", "[a]", "%", "_", "a%", "a_", "%2F", "%41", "a%2Fb", "'", '"', "`", "$", "${a}", "{}", "#", "&", ";--"),
    *("x" * 10_000, "x" * 9_999 + "y", "\u4e2d" * 5_000, "x" * 255, "x" * 256, "%~", "a%~b", ".locks", ".new"),
]

few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def test_hostile_keys_are_kept_apart(store: Store) -> None:
    for number, key in enumerate(HOSTILE):
        store.put(key, number, metadata={"number": number}, if_absent=True)
    assert [store.load(key) for key in HOSTILE] == list(range(len(HOSTILE)))
    assert list(store.keys()) == sorted(HOSTILE)
    for number, key in enumerate(HOSTILE):
        assert [entry.key for entry in store.find({"metadata.number": number})] == [key]
    for key in HOSTILE[::2]:
        assert store.delete(key)
    assert list(store.keys()) == sorted(HOSTILE[1::2])


@pytest.mark.parametrize(
    "prefix", ["", "a", "a%", "a_", "a:", "a/", "..", "\0", "x" * 9_999, "\U0010ffff", "e", "é", "["]
)
def test_a_prefix_means_itself(store: Store, prefix: str) -> None:
    for key in HOSTILE:
        store.put(key, 1)
    meant = sorted(key for key in HOSTILE if key.startswith(prefix))
    assert list(store.keys(prefix)) == meant
    assert store.count(prefix) == len(meant)
    assert store.clear(prefix) == len(meant)
    assert list(store.keys()) == sorted(set(HOSTILE) - set(meant))


@few
@given(
    keys=st.sets(texts, min_size=1, max_size=12),
    prefix=st.text(max_size=2, alphabet="a\0\x01é%"),
    limit=st.integers(1, 4),
)
def test_pages_have_every_key_once(store: Store, keys: set[str], prefix: str, limit: int) -> None:
    store.clear()
    keys |= {prefix + key for key in keys}
    for key in keys:
        store.put(key, 1)
    found: list[str] = []
    cursor = None
    while True:
        page = store.page(prefix, cursor=cursor, limit=limit)
        found += [entry.key for entry in page.entries]
        assert len(page.entries) <= limit
        if (cursor := page.next_cursor) is None:
            break
        assert len(page.entries) == limit
    assert found == sorted(key for key in keys if key.startswith(prefix))


def test_a_page_goes_on_where_it_ended_while_others_write(store: Store) -> None:
    for number in range(6):
        store.put(f"k{number}", number)
    first = store.page(limit=3)
    store.put("k1a", 1)
    store.put("k3a", 1)
    store.delete("k2")
    store.delete("k4")
    rest = store.page(cursor=first.next_cursor, limit=10)
    assert [entry.key for entry in first.entries] == ["k0", "k1", "k2"]
    assert [entry.key for entry in rest.entries] == ["k3", "k3a", "k5"]
    assert rest.next_cursor is None


@pytest.mark.parametrize("limit", [0, -1, MAX_PAGE + 1])
def test_a_limit_out_of_range(store: Store, limit: int) -> None:
    with pytest.raises(StorageKeyError, match="limit"):
        store.page(limit=limit)


def test_more_entries_than_a_page_has(store: Store) -> None:
    for number in range(450):
        store.put(f"{number:04}", number)
    assert list(store.keys()) == [f"{number:04}" for number in range(450)]
    assert len(store.page(limit=1000).entries) == 450
    assert store.count("01") == 100
    assert store.clear() == 450
