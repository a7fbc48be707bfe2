"""Encryption at rest: nothing can be read, moved, cut or set back without being noticed, and keys rotate under load."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from database.core.context import NO_CONTEXT
from storage import Cache
from storage import Fallback
from storage import FileEntries
from storage import MemoryEntries
from storage import Mirrors
from storage import SizeTier
from storage import StorageConfigurationError
from storage import StorageCorruptError
from storage import StoragePermissionError
from storage import Store
from storage.core.backend import StoreBackend
from storage.core.entry import Stored
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.layers.encryption import Encryption
from storage.layers.encryption import Keys
from storage.layers.encryption import Rewrapping
from storage.layers.encryption import rewrap
from tests.storage.contract.places import lasting

OLD, NEW = os.urandom(32), os.urandom(32)
KEYS = Keys({"old": OLD}, "old")
ROTATED = Keys({"old": OLD, "new": NEW}, "new")
CANARY = "canary 7d8f6f9e"


def sealed(backend: StoreBackend, keys: Keys = KEYS, tenant: str | Callable[[], str] = "") -> Store:
    return Store(backend, layers=[Encryption(keys, tenant)])


def kept(backend: StoreBackend, key: str) -> Stored:
    found = backend.fetch(Fetch(key), NO_CONTEXT)
    assert found is not None
    return found


@pytest.mark.parametrize("value", [{"text": CANARY}, CANARY.encode(), CANARY, [CANARY] * 1000])
def test_no_file_has_a_word_of_a_value(tmp_path: Path, value: object) -> None:
    store = sealed(FileEntries(tmp_path))
    put = store.put("key", value, metadata={"found": "by this"})
    assert (store.load("key"), store.entry("key").size) == (value, put.size)
    text = b"".join([path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()])
    assert CANARY.encode() not in text
    assert b"by this" in text
    assert [entry.value for entry in store.find({"metadata.found": "by this"})] == [value]


def test_equal_values_look_different() -> None:
    backend = MemoryEntries()
    store = sealed(backend)
    store.put("a", "same")
    store.put("b", "same")
    assert kept(backend, "a").body != kept(backend, "b").body


def test_what_was_stored_before_the_layer_is_read_where_it_may_be() -> None:
    backend = MemoryEntries()
    Store(backend).put("plain", 1)
    assert Store(backend, layers=[Encryption(KEYS, required=False)]).load("plain") == 1


def test_what_is_not_encrypted_is_refused() -> None:
    backend = MemoryEntries()
    store = sealed(backend)
    store.put("key", 1)
    assert store.load("key") == 1
    Store(backend).put("key", "in its place")
    with pytest.raises(StorageCorruptError, match="not sealed"):
        store.load("key")


def _cut(entry: Stored, _: Stored) -> Stored:
    return entry._replace(body=entry.body[:-1])


def _emptied(entry: Stored, _: Stored) -> Stored:
    return entry._replace(body=entry.body[:12])


def _flipped(entry: Stored, _: Stored) -> Stored:
    return entry._replace(body=entry.body[:-1] + bytes([entry.body[-1] ^ 1]))


def _moved(entry: Stored, other: Stored) -> Stored:
    return other._replace(key=entry.key)


def _set_back(entry: Stored, other: Stored) -> Stored:
    return entry._replace(body=other.body, headers=other.headers)


def _of_another_version(entry: Stored, _: Stored) -> Stored:
    return entry._replace(etag="another")


def _of_another_type(entry: Stored, _: Stored) -> Stored:
    return entry._replace(headers={**entry.headers, "sealed_type": "image/png"})


def _with_another_key(entry: Stored, other: Stored) -> Stored:
    return entry._replace(headers={**entry.headers, "sealed_with": other.headers["sealed_with"]})


def _with_a_broken_key(entry: Stored, _: Stored) -> Stored:
    return entry._replace(headers={**entry.headers, "sealed_with": "%"})


def _with_an_unknown_key(entry: Stored, _: Stored) -> Stored:
    return entry._replace(headers={**entry.headers, "sealed_key": "unknown"})


def _without_a_note(entry: Stored, _: Stored) -> Stored:
    return entry._replace(headers={name: text for name, text in entry.headers.items() if name != "sealed_with"})


CHANGES = [
    *(_cut, _emptied, _flipped, _moved, _set_back, _of_another_version, _of_another_type),
    *(_with_another_key, _with_a_broken_key, _with_an_unknown_key, _without_a_note),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_by_somebody_else_is_noticed(change: Callable[[Stored, Stored], Stored]) -> None:
    backend = MemoryEntries()
    store = sealed(backend)
    store.put("a", "first")
    store.put("b", "second")
    backend.put(Put(change(kept(backend, "a"), kept(backend, "b"))), NO_CONTEXT)
    with pytest.raises(StorageCorruptError, match="'a'") as caught:
        store.load("a")
    assert "first" not in str(caught.value)
    assert store.load("b") == "second"


def test_tenants_cannot_read_each_other() -> None:
    backend = MemoryEntries()
    sealed(backend, tenant="one").put("key", "secret")
    with pytest.raises(StorageCorruptError):
        sealed(backend, tenant="other").load("key")


def test_tenants_that_share_a_store_cannot_read_each_other() -> None:
    backend = MemoryEntries()
    caller = ["one"]
    store = sealed(backend, tenant=lambda: caller[0])
    store.put("key", "secret")
    caller[0] = "other"
    with pytest.raises(StorageCorruptError, match="another tenant"):
        store.load("key")
    entry = kept(backend, "key")
    backend.put(Put(entry._replace(headers={**entry.headers, "sealed_for": "other"})), NO_CONTEXT)
    with pytest.raises(StorageCorruptError, match="exchanged"):
        store.load("key")
    assert rewrap(backend.execute, Encryption(ROTATED)).unreadable == ["key"]
    caller[0] = ""
    with pytest.raises(StoragePermissionError):
        store.put("key", 1)


def test_what_would_mix_tenants_is_refused() -> None:
    def sealing() -> Encryption:
        return Encryption(KEYS, lambda: "one")

    kept, blobs = lasting(), Store(MemoryEntries(), layers=[sealing()])
    for layer in (Cache(), SizeTier(lasting()), Fallback(kept), Mirrors({"copy": kept}, kept)):
        with pytest.raises(StorageConfigurationError, match="behind the encryption"):
            Store(MemoryEntries(), layers=[layer, sealing()])
        Store(MemoryEntries(), layers=[sealing(), layer]).put("key", 1)
    with pytest.raises(StorageConfigurationError):
        Store(MemoryEntries(), layers=[SizeTier(blobs)])


def test_keys_of_tenants_rotate_together() -> None:
    backend = MemoryEntries()
    caller = ["one"]
    store = sealed(backend, tenant=lambda: caller[0])
    for caller[0] in ("one", "two"):
        store.put(caller[0], caller[0])
    assert rewrap(backend.execute, Encryption(ROTATED, lambda: "")).done == 2
    rotated = sealed(backend, Keys({"new": NEW}, "new"), lambda: caller[0])
    for caller[0] in ("one", "two"):
        assert rotated.load(caller[0]) == caller[0]


def test_keys_rotate() -> None:
    backend = MemoryEntries()
    store = sealed(backend)
    etags = {f"{number:03}": store.put(f"{number:03}", number).etag for number in range(250)}
    Store(backend).put("plain", 1)
    told: list[int] = []
    rotated = sealed(backend, ROTATED)
    rotated.put("newer", "value")
    encryption = Encryption(ROTATED)
    dry = rewrap(backend.execute, encryption, dry_run=True)
    assert (dry.seen, dry.done) == (252, 250)
    state = rewrap(backend.execute, encryption, told=lambda state: told.append(state.seen))
    assert (state.seen, state.done, state.unreadable) == (252, 250, [])
    assert told == [100, 200, 252]
    assert rewrap(backend.execute, encryption).done == 0
    only_new = sealed(backend, Keys({"new": NEW}, "new"))
    assert [only_new.load(key) for key in etags] == list(range(250))
    # It is the same version, which who has read it may replace.
    assert {key: only_new.entry(key).etag for key in etags} == etags
    with pytest.raises(StorageCorruptError, match="not among the storage keys"):
        store.load("newer")


def test_plain_entries_are_encrypted_where_they_may_be(tmp_path: Path) -> None:
    backend = FileEntries(tmp_path)
    plain = Store(backend)
    etags = {key: plain.put(key, CANARY).etag for key in "abc"}
    (tmp_path / "c").write_bytes(b"{")
    assert rewrap(backend.execute, Encryption(KEYS)).done == 0
    assert rewrap(backend.execute, Encryption(KEYS, required=False)).done == 2
    assert CANARY.encode() not in b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert [(sealed(backend).load(key), sealed(backend).entry(key).etag) for key in "ab"] == [
        (CANARY, etags[key]) for key in "ab"
    ]
    assert (tmp_path / "c").read_bytes() == b"{"


def test_an_interrupted_rotation_goes_on() -> None:
    backend = MemoryEntries()
    store = sealed(backend)
    for number in range(250):
        store.put(f"{number:03}", number)
    states: list[Rewrapping] = []

    def interrupted(state: Rewrapping) -> None:
        states.append(state)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rewrap(backend.execute, Encryption(ROTATED), told=interrupted)
    rest = rewrap(backend.execute, Encryption(ROTATED), after=states[0].last)
    assert (states[0].done, rest.done) == (100, 150)


def test_a_rotation_loses_nothing_that_is_written_meanwhile() -> None:
    backend = MemoryEntries()
    store, rotated = sealed(backend), sealed(backend, ROTATED)
    for number in range(300):
        store.put(f"{number:03}", 0)
    ended = threading.Event()
    last: dict[str, int] = {}

    def write() -> None:
        turn = 0
        while not ended.is_set():
            turn += 1
            key = f"{turn * 7 % 300:03}"
            rotated.put(key, turn)
            last[key] = turn
            assert rotated.load(key) == turn

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(3):
            rewrap(backend.execute, Encryption(ROTATED))
    finally:
        ended.set()
        writer.join()
    only_new = sealed(backend, Keys({"new": NEW}, "new"))
    expected = {f"{number:03}": last.get(f"{number:03}", 0) for number in range(300)}
    assert {key: only_new.load(key) for key in expected} == expected


def test_damaged_entries_do_not_stop_a_rotation() -> None:
    backend = MemoryEntries()
    store = sealed(backend)
    for key in "abc":
        store.put(key, key)
    entry = kept(backend, "b")
    backend.put(Put(entry._replace(headers={**entry.headers, "sealed_with": "AAAA"})), NO_CONTEXT)
    state = rewrap(backend.execute, Encryption(ROTATED))
    assert (state.done, state.unreadable) == (2, ["b"])


@pytest.mark.parametrize(("keys", "current"), [({"a": b"short"}, "a"), ({"a": OLD}, "b"), ({}, "a")])
def test_what_are_no_keys(keys: dict[str, bytes], current: str) -> None:
    with pytest.raises(StorageConfigurationError) as caught:
        Keys(keys, current)
    assert "short" not in str(caught.value)


def test_people_see_which_key_has_sealed_an_entry(tmp_path: Path) -> None:
    store = sealed(FileEntries(tmp_path))
    store.put("note", 1)
    assert json.loads((tmp_path / "note").read_text())["headers"]["sealed_key"] == "old"
