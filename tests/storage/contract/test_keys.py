"""Keys: those that look alike are kept apart, and found again in their order."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from storage.core.store import Store
from tests.storage.contract.fill import fill_keys

HOSTILE = [
    *("../a", "..", ".", "/", "a/b", "a//b", "/a", "a\\b", "~", "~root", "C:\\a", "con", "a.", "a ", " a", "a.json"),
    *("\0", "a\0b", "a\x01b", "a\x01\x01b", "\x01\x02", "\n", "\r\n", "\t", "\x7f", "\u202e", "\ufeff", "\U0010ffff"),
    *("a:b", "a_b", "a::b", "a,b", "a b", "a-b", "a.b", "A", "a", "AB", "aB", "ab"),
    *("\u00e9", "e\u0301", "\u212b", "\u00c5", "ss", "\u00df", "\u0130", "i", "\u4e2d", "\U0001f600"),
    *("*", "?", "[a]", "%", "_", "a%", "a_", "%2F", "%41", "a%2Fb", "'", '"', "`", "$", "${a}", "{}", "#", "&", ";--"),
    *("x" * 10_000, "x" * 9_999 + "y", "\u4e2d" * 5_000, "x" * 255, "x" * 256, "%~", "a%~b", ".locks", ".new"),
]
SOME = HOSTILE[::11]
PREFIXES = ["a%", "a_", "..", "\0", "x" * 9_999, "\U0010ffff", "e", "a", ""]
"""One that begins with another one comes before it."""

few = settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


def test_hostile_keys_are_kept_apart_and_a_prefix_means_itself(store: Store) -> None:
    fill_keys(store, HOSTILE)
    assert [HOSTILE[entry.value] for entry in store.find({}, limit=1_000)] == sorted(HOSTILE)
    assert [store.load(key) for key in SOME] == [HOSTILE.index(key) for key in SOME]
    assert [store.put(key, 1, if_absent=True).key for key in SOME if store.delete(key)] == SOME
    left = sorted(HOSTILE)
    for prefix in PREFIXES:
        meant = [key for key in left if key.startswith(prefix)]
        assert list(store.keys(prefix)) == meant
        assert store.clear(prefix) == len(meant)
        left = [key for key in left if key not in meant]
    assert list(store.keys()) == left == []


@few
@given(
    keys=st.sets(texts, min_size=1, max_size=8),
    prefix=st.text(max_size=2, alphabet="a\0\x01é%"),
    limit=st.integers(2, 5),
)
def test_pages_have_every_key_once(store: Store, keys: set[str], prefix: str, limit: int) -> None:
    store.clear()
    keys |= {prefix + key for key in keys}
    fill_keys(store, keys)
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
    fill_keys(store, [f"k{number}" for number in range(6)])
    first = store.page(limit=3)
    store.put("k1a", 1)
    store.put("k3a", 1)
    store.delete("k2")
    store.delete("k4")
    rest = store.page(cursor=first.next_cursor, limit=10)
    assert [entry.key for entry in first.entries] == ["k0", "k1", "k2"]
    assert [entry.key for entry in rest.entries] == ["k3", "k3a", "k5"]
    assert rest.next_cursor is None


def test_more_entries_than_are_read_at_once(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_SCANNED", "_SCANNED_WHOLE"):
        monkeypatch.setattr(f"storage.core.store.{name}", 7)
    keys = [f"{number:02}" for number in range(23)]
    fill_keys(store, keys)
    assert list(store.keys()) == keys
    assert len(store.page(limit=1000).entries) == 23
    assert store.count("1") == 10
    assert [entry.key for entry in store.find({"data": 22})] == ["22"]
    assert store.clear() == 23
