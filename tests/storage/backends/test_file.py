"""Files: people can read them, nothing is outside of the folder, and a crash leaves no half of one."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from database.core.clock import utc_now
from database.core.context import NO_CONTEXT
from storage import FileEntries
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageCorruptError
from storage import Store
from storage.backends.file.names import key_of
from storage.backends.file.names import name_of
from storage.core.entry import Stored
from storage.core.operations import Fetch
from storage.core.operations import Put
from tests.storage.contract.test_increments import in_processes
from tests.storage.contract.test_keys import HOSTILE

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def store(folder: Path) -> Store:
    return Store(FileEntries(folder))


def test_people_find_and_read_a_value(store: Store, folder: Path) -> None:
    put = store.put("greeting.json", {"content": "Grüße"}, metadata={"by": "Ada"})
    text = (folder / "greeting.json").read_text()
    document = json.loads(text)
    assert document["data"] == {"content": "Grüße"}
    assert (document["key"], document["etag"], document["metadata"]) == ("greeting.json", put.etag, {"by": "Ada"})
    assert "\n" in text
    assert "Grüße" in text


def test_what_a_person_has_edited_is_read(store: Store, folder: Path) -> None:
    store.put("note", {"text": "before"})
    path = folder / "note"
    path.write_text(path.read_text().replace("before", "after"))
    assert store.load("note") == {"text": "after"}


@given(one=texts, other=texts)
def test_two_keys_have_two_names_also_where_names_ignore_case(one: str, other: str) -> None:
    if one != other:
        assert name_of(one).lower() != name_of(other).lower()
    if len(name_of(one)) < 150:
        assert key_of(name_of(one)) == one


@pytest.mark.parametrize("key", HOSTILE)
def test_a_name_is_one_in_its_folder(key: str) -> None:
    name = name_of(key)
    assert len(name) <= 255
    assert name.isascii()
    assert name.isprintable()
    assert not name.startswith(".")
    assert Path("/folder", name).resolve().parent == Path("/folder")


def test_nothing_is_outside_of_the_folder(store: Store, folder: Path) -> None:
    for key in HOSTILE:
        store.put(key, 1)
    assert [path.name for path in folder.parent.iterdir()] == ["data"]
    assert {path.name for path in folder.iterdir()} == {name_of(key) for key in HOSTILE} | {".locks"}
    assert {oct(path.stat().st_mode & 0o777) for path in folder.iterdir() if path.is_file()} == {"0o600"}


def test_two_who_write_one_version_at_once_do_not_mix_their_files(folder: Path) -> None:
    entry = Stored("key", "etag", b"[%s]" % b",".join([b"7"] * 50_000), 100_001, {}, {}, utc_now())
    places = [FileEntries(folder) for _ in range(2)]

    def write(place: FileEntries) -> None:
        for _ in range(20):
            place.put(Put(entry), NO_CONTEXT)

    with ThreadPoolExecutor(len(places)) as threads:
        writing = [threads.submit(write, place) for place in places]
        while not all(one.done() for one in writing):
            found = places[0].fetch(Fetch("key"), NO_CONTEXT)
            assert found is None or found.body == entry.body
    assert all(one.exception() is None for one in writing)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"key": "bad"}', b"\x00" * 50, b'{"data": 1}'])
def test_a_damaged_file_costs_its_own_entry_only(store: Store, folder: Path, text: bytes) -> None:
    store.put("bad", 1)
    store.put("good", 2)
    (folder / "bad").write_bytes(text)
    with pytest.raises(StorageCorruptError, match=r"'bad'.*damaged"):
        store.load("bad")
    with pytest.raises(StorageConflictError):
        store.put("bad", 3, if_absent=True)
    assert (list(store.keys()), store.load("good")) == (["bad", "good"], 2)
    assert store.find({"metadata.x": 1}) == []
    store.put("bad", 4)
    assert store.load("bad") == 4


def test_a_file_that_was_exchanged_is_damaged(store: Store, folder: Path) -> None:
    store.put("alice", 1)
    store.put("bob", 2)
    (folder / "alice").replace(folder / "bob")
    with pytest.raises(StorageCorruptError, match="another key"):
        store.load("bob")


def test_files_of_others_are_left_alone(store: Store, folder: Path) -> None:
    store.put("a", 1)
    for name in ("README.MD", "%2f", "%", ".hidden", "%~x"):
        (folder / name).write_text("theirs")
    assert list(store.keys()) == ["a"]
    assert store.clear() == 1
    assert (folder / "README.MD").read_text() == "theirs"


def test_another_process_sees_each_change_at_once(store: Store, folder: Path) -> None:
    other = Store(FileEntries(folder))
    for number in range(30):
        store.put(f"{number:02}", number)
        assert list(other.keys()) == [f"{each:02}" for each in range(number + 1)]


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageConfigurationError, match="does not exist"):
        FileEntries(tmp_path / "missing", create=False)
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_writer_left_is_swept(store: Store, folder: Path) -> None:
    store.put("a", 1)
    old, new = folder / ".1.new", folder / ".2.new"
    for path in (old, new):
        path.write_text("half")
    os.utime(old, (0, 0))
    store.sweep()
    assert (old.exists(), new.exists()) == (False, True)


def test_increments_of_several_processes_are_exact(store: Store, folder: Path) -> None:
    store.put("counter", 0)
    in_processes(partial(FileEntries, folder), 2, 20)
    assert store.load("counter") == 40
