"""Retention by age and number, the archive, and the alarm for the space of a disk."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database.core.operations import Operation
from storage import DiskSpace
from storage import FileEntries
from storage import Keep
from storage import MemoryEntries
from storage import Retention
from storage import StorageCapacityError
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageConnectionError
from storage import Store
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.layers.disk_space import Space
from tests.clocks import ManualClock
from tests.clocks import WallClock
from tests.storage.layers.faulty import EXAMPLES
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over


class Kept:
    """A store whose entries are of different ages, and an archive."""

    def __init__(self) -> None:
        self.clock = WallClock()
        self.place, self.cold = Faulty(), Faulty()
        self.store, self.archive = over(self.place, clock=self.clock), over(self.cold, clock=self.clock)

    def retention(self, *rules: Keep) -> Retention:
        return Retention(self.store, rules, self.clock)

    def fill(self, *keys: str) -> None:
        for key in keys:
            self.clock.advance(1)
            self.store.put(key, key, metadata={"m": key})


@pytest.fixture
def kept() -> Kept:
    return Kept()


def test_entries_that_are_too_old_are_deleted(kept: Kept) -> None:
    kept.fill("log:1", "log:2", "note:1", "log:3")
    (done,) = kept.retention(Keep("log:", max_age=timedelta(seconds=1))).apply()
    assert (done.seen, done.deleted, done.keys, done.size) == (3, 2, ["log:1", "log:2"], 14)
    assert list(kept.store.keys()) == ["log:3", "note:1"]


@pytest.mark.parametrize(
    ("count", "left"), [(0, []), (1, ["a"]), (2, ["a", "c"]), (3, ["a", "b", "c"]), (9, list("abc"))]
)
def test_the_newest_ones_are_kept(kept: Kept, count: int, left: list[str]) -> None:
    kept.fill("b", "c", "a")
    kept.retention(Keep(max_count=count)).apply()
    assert list(kept.store.keys()) == left


def test_a_dry_run_changes_nothing(kept: Kept) -> None:
    kept.fill("a", "b")
    rules = Keep(max_count=1), Keep("b", max_age=0, archive=kept.archive)
    kept.clock.advance(1)
    first, second = kept.retention(*rules).apply(dry_run=True)
    assert (first.keys, second.keys, second.archived) == (["a"], ["b"], 1)
    assert (kept.store.count(), kept.archive.count()) == (2, 0)


def test_cold_entries_are_moved_and_come_back(kept: Kept) -> None:
    kept.store.put("old", b"\0", metadata={"m": 1}, media_type="image/png", ttl=1_000)
    before = kept.store.entry("old")
    kept.clock.advance(10)
    retention = kept.retention(Keep(max_age=5, archive=kept.archive))
    assert retention.apply()[0].archived == 1
    assert not kept.store.exists("old")
    assert kept.archive.entry("old") == before
    assert retention.restore("old")
    assert kept.store.load("old") == b"\0"
    assert retention.apply()[0].archived == 0
    kept.store.put("old", "new")
    with pytest.raises(StorageConflictError):
        retention.restore("old")
    assert not retention.restore("missing")


def test_the_archive_keeps_every_version(kept: Kept) -> None:
    etags = []
    for number in range(3):
        etags.append(kept.store.put("key", number).etag)
        kept.clock.advance(10)
        kept.retention(Keep(max_age=5, archive=kept.archive)).apply()
    found = {entry.key: entry.value for entry in kept.archive.find({})}
    assert found == {"key": 0, f"key@{etags[1]}": 1, f"key@{etags[2]}": 2}


def test_nothing_is_lost_between_the_two_places(kept: Kept) -> None:
    kept.fill("key")
    kept.clock.advance(10)
    retention = kept.retention(Keep(max_age=5, archive=kept.archive))
    with kept.cold.down(), pytest.raises(StorageConnectionError):
        retention.apply()
    assert kept.store.load("key") == "key"

    def killed(operation: Operation) -> None:
        if isinstance(operation, Remove):
            raise KeyboardInterrupt

    kept.place.before = killed
    with pytest.raises(KeyboardInterrupt):
        retention.apply()
    kept.place.heal()
    assert (kept.store.load("key"), kept.archive.load("key")) == ("key", "key")
    assert retention.apply()[0].archived == 1
    assert (kept.store.count(), kept.archive.count()) == (0, 1)


@pytest.mark.parametrize("when", [Put, Remove])
def test_an_entry_that_is_changed_meanwhile_stays(kept: Kept, when: type[Operation]) -> None:
    kept.fill("key")
    kept.clock.advance(10)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, when):
            kept.cold.heal()
            kept.place.heal()
            kept.store.put("key", "changed")

    kept.cold.before = kept.place.before = meanwhile
    (done,) = kept.retention(Keep(max_age=5, archive=kept.archive)).apply()
    assert (done.changed, done.archived) == (1, 0)
    assert kept.store.load("key") == "changed"


def test_damaged_and_expired_entries_are_left(tmp_path: Path) -> None:
    clock = WallClock()
    store = Store(FileEntries(tmp_path), clock=clock)
    for key in "abc":
        store.put(key, 1, ttl=5 if key == "c" else None)
    (tmp_path / "b").write_bytes(b"{")
    clock.advance(10)
    archive = Store(MemoryEntries())
    (done,) = Retention(store, [Keep(max_age=1, max_count=0, archive=archive)], clock).apply()
    assert (done.archived, done.unreadable, list(archive.keys())) == (1, ["b"], ["a"])
    (done,) = Retention(store, [Keep("b", max_count=0)], clock).apply()
    assert (done.deleted, done.unreadable) == (0, ["b"])


@pytest.mark.parametrize("limits", [{}, {"max_age": -1}, {"max_count": -1}])
def test_what_is_no_rule(limits: dict[str, Any]) -> None:
    with pytest.raises(StorageConfigurationError):
        Keep("log:", **limits)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(st.integers(0, 20), max_size=12), st.integers(0, 12) | st.none(), st.integers(0, 20) | st.none())
def test_what_is_left_is_what_the_rule_says(ages: list[int], count: int | None, age: int | None) -> None:
    if count is None and age is None:
        return
    kept, now = Kept(), WallClock()
    now.advance(100)
    for number, seconds in enumerate(ages):
        kept.clock.time = now.time - timedelta(seconds=seconds)
        kept.store.put(f"{number:02}", seconds)
    kept.clock.time = now.time
    kept.retention(Keep(max_count=count, max_age=age)).apply()
    newest = sorted(enumerate(ages), key=lambda pair: (-pair[1], pair[0]), reverse=True)[:count]
    expected = sorted(number for number, seconds in newest if age is None or seconds <= age)
    assert list(map(int, kept.store.keys())) == expected


class Disk:
    """A disk that is as full as a test says."""

    def __init__(self) -> None:
        self.free = 50
        self.clock = ManualClock()
        self.told: list[Space] = []

    def layer(self, folder: Path) -> DiskSpace:
        return DiskSpace(
            folder, low=0.2, full=0.05, told=self.told.append, usage=lambda _: (100, self.free), clock=self.clock
        )


def test_a_disk_that_fills(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    layer = disk.layer(tmp_path)
    store = Store(MemoryEntries(), layers=[layer])
    store.put("a", 1)
    disk.free = 10
    store.put("b", 1)
    assert disk.told == []  # not looked at yet
    disk.clock.advance(10)
    store.put("b", 1)
    assert f"the disk of {tmp_path} is low" in caplog.text
    disk.free = 4
    disk.clock.advance(10)
    for refused in (lambda: store.put("c", 1), lambda: store.put_many({"c": 1})):
        with pytest.raises(StorageCapacityError, match="less than 5%"):
            refused()
    assert store.delete("a")
    assert store.load("b") == 1
    disk.free = 90
    assert layer.space() == Space(100, 90, "enough")
    store.put("c", 1)
    assert [space.state for space in disk.told] == ["low", "full", "enough"]
    assert store.snapshot()["layers"][0]["counts"] == {"free_bytes": 90, "refused": 2}


def test_a_real_disk(tmp_path: Path) -> None:
    space = DiskSpace(tmp_path / "not" / "there" / "yet").space()
    assert 0 < space.free <= space.total
    with pytest.raises(StorageConfigurationError):
        DiskSpace(tmp_path, low=0.1, full=0.2)
