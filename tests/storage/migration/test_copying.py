"""Copying entries: nothing is lost, nothing newer is overwritten, and what is left is named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest

from config.settings import load_settings
from database import internal_tables
from database.backends.faulty import FaultyAdapter
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.context import NO_CONTEXT
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.tables.schema import Schema
from storage import Compression
from storage import Copied
from storage import CopyOptions
from storage import FileEntries
from storage import MemoryEntries
from storage import S3Entries
from storage import StorageConfigurationError
from storage import StorageConnectionError
from storage import Store
from storage import TableEntries
from storage import copy_entries
from storage.core.entry import Stored
from storage.core.layer import Layer
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Put
from storage.core.vectors.directions import direction
from storage.migration.parts import SMALL
from tests.clocks import WallClock
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET
from tests.servers.s3 import S3Server
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over
from tests.storage.migration.filled import hashes


class Pair:
    """Two stores in memory, with one clock."""

    def __init__(self) -> None:
        self.clock = WallClock()
        self.place = Faulty()
        self.source = Store(MemoryEntries(), "source", clock=self.clock)
        self.target = over(self.place, name="target", clock=self.clock)

    def copy(self, **options: object) -> Copied:
        return copy_entries(self.source, self.target, CopyOptions(**options), clock=self.clock)  # type: ignore[arg-type]


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_what_was_stored_later_wins_and_is_never_overwritten(pair: Pair) -> None:
    for key in ("older", "newer", "equal"):
        pair.source.put(key, 1)
    assert pair.copy().moved == 3
    pair.clock.advance(1)
    pair.source.put("older", 2)
    pair.target.put("newer", 3)
    found = pair.copy()
    assert (found.moved, found.same, list(found.left)) == (1, 1, ["newer"])
    assert "--replace" in found.left["newer"]
    assert [pair.target.load(key) for key in ("older", "newer", "equal")] == [2, 3, 1]
    assert pair.copy(replace=True).moved == 1
    assert hashes(pair.source) == hashes(pair.target)


def test_a_value_that_somebody_has_edited_is_noticed(tmp_path: Path) -> None:
    source, target = Store(FileEntries(tmp_path / "a")), Store(FileEntries(tmp_path / "b"))
    source.put("note", {"n": 111})
    assert copy_entries(source, target).moved == 1
    file = tmp_path / "b" / "note"
    file.write_text(file.read_text().replace("111", "222"))
    assert list(copy_entries(source, target).left) == ["note"]
    assert copy_entries(source, target, CopyOptions(replace=True)).moved == 1
    assert target.load("note") == {"n": 111}


def test_only_what_was_asked_for(pair: Pair) -> None:
    pair.source.put("a:old", 1)
    pair.clock.advance(10)
    since = pair.clock()
    pair.source.put("a:new", 1)
    pair.source.put("b:new", 1)
    pair.source.put("a:gone", 1, ttl=5)
    pair.clock.advance(5)
    assert pair.copy(dry_run=True).moved == 3
    assert pair.target.count() == 0
    assert pair.copy(since=since, prefix="a:").moved == 1
    assert list(pair.target.keys()) == ["a:new"]
    assert (pair.copy(since=since).moved, pair.copy().moved, pair.copy().moved) == (1, 1, 0)


def test_what_cannot_be_read_or_taken_is_left_and_stops_nothing(tmp_path: Path) -> None:
    source = Store(FileEntries(tmp_path))
    for key in ("damaged", "good", "large", "zz"):
        source.put(key, "x" * (100 if key == "large" else 10))
    (tmp_path / "damaged").write_bytes(b"{")
    target = Store(MemoryEntries(), largest=50)
    found = copy_entries(source, target)
    assert (found.seen, found.moved, list(found.left)) == (4, 2, ["damaged", "large"])
    assert "102 bytes" in found.left["large"]
    assert list(target.keys()) == ["good", "zz"]


def test_a_vector_is_not_lost_in_silence() -> None:
    source = Store(MemoryEntries(dimensions=2))
    source.put("near", 1, vector=[1, 0])
    source.put("plain", 1)
    for dimensions in (None, 3):
        found = copy_entries(source, Store(MemoryEntries(dimensions=dimensions)))
        assert (found.moved, list(found.left)) == (1, ["near"])
        assert "vector of 2 dimensions" in found.left["near"]


def test_another_vector_is_another_entry() -> None:
    source, target = (Store(MemoryEntries(dimensions=2)) for _ in range(2))
    source.put("key", 1, vector=[1, 0])
    assert copy_entries(source, target).moved == 1
    entry: Stored = target.run(Fetch("key"))
    target.run(Put(entry._replace(vector=direction([0, 1], 2))))
    assert list(copy_entries(source, target).left) == ["key"]


def test_what_has_expired_in_the_target_is_in_nobodys_way(pair: Pair) -> None:
    pair.source.put("key", 1)
    pair.clock.advance(1)
    pair.target.put("key", 2, ttl=5)
    assert list(pair.copy().left) == ["key"]
    pair.clock.advance(5)
    assert pair.copy().moved == 1
    assert pair.target.load("key") == 1


@pytest.mark.parametrize("number", [1, 3])
def test_what_others_store_meanwhile_is_not_overwritten(pair: Pair, number: int) -> None:
    for key in "abc"[:number]:
        pair.source.put(key, 1)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Put | Batch):
            pair.place.before = lambda _: None
            Store(pair.place.backend).put("a", "theirs")

    pair.place.before = meanwhile
    found = pair.copy()
    assert (found.moved, list(found.left)) == (number - 1, ["a"])
    assert pair.target.load("a") == "theirs"


def _another_body(entry: Stored) -> Stored:
    return entry._replace(body=b"2")


def _another_version(entry: Stored) -> Stored:
    return entry._replace(body=b"2", etag="theirs")


@pytest.mark.parametrize(("spoil", "said"), [(_another_body, "another hash"), (_another_version, "changed or deleted")])
def test_what_is_not_read_as_it_was_stored_does_not_count(
    pair: Pair, spoil: Callable[[Stored], Stored], said: str
) -> None:
    pair.source.put("key", 1)

    def after(operation: Operation) -> None:
        if isinstance(operation, Put):
            pair.place.backend.execute(Put(spoil(operation.entry)), NO_CONTEXT)

    pair.place.after = after
    found = pair.copy()
    assert found.moved == 0
    assert said in found.left["key"]


def test_a_copy_goes_on_after_an_outage(pair: Pair) -> None:
    for number in range(250):
        pair.source.put(f"{number:03}", number)
    states: list[int] = []

    def told(state: Copied) -> None:
        states.append(state.moved)
        if len(states) == 2:
            pair.place.before = fail

    def fail(_: Operation) -> None:
        raise StorageConnectionError("it is down")

    with pytest.raises(StorageConnectionError):
        copy_entries(pair.source, pair.target, told=told, clock=pair.clock)
    pair.place.heal()
    found = pair.copy()
    assert (states, found.moved, found.same) == ([100, 200], 50, 200)
    assert hashes(pair.source) == hashes(pair.target)


def test_what_a_fallback_answers_is_not_copied() -> None:
    schema = Schema.of(internal_tables.metadata)
    main = FaultyAdapter(MemoryAdapter(schema=schema), config={"retry_count": 0})
    adapters = {"main": main, "spare": MemoryAdapter(schema=schema)}
    manager = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), adapters)
    Store(TableEntries(manager)).put("key", "new")
    Store(TableEntries(adapters["spare"])).put("key", "outdated")
    target = Store(MemoryEntries())
    main.faults.refuse = 1
    with pytest.raises(StorageConnectionError, match="fallback spare"):
        copy_entries(Store(TableEntries(manager)), target)
    assert target.count() == 0
    main.faults.refuse = 0
    manager.disconnect()


def test_one_place_is_not_two(tmp_path: Path) -> None:
    place = FileEntries(tmp_path)
    with pytest.raises(StorageConfigurationError, match="the same place"):
        copy_entries(Store(place), Store(place))
    # One that was named in another way is harmless.
    Store(place).put("key", 1)
    found = copy_entries(Store(place), Store(FileEntries(tmp_path)), CopyOptions(replace=True))
    assert (found.moved, found.same) == (0, 1)


def test_two_databases_with_stores_of_one_name_are_two_places() -> None:
    schema = Schema.of(internal_tables.metadata)
    source, target = (Store(TableEntries(MemoryAdapter(schema=schema))) for _ in range(2))
    source.put("key", 1)
    assert copy_entries(source, target).moved == 1
    assert target.load("key") == 1


def test_large_bodies_pass_in_parts(s3_server: S3Server) -> None:
    whole: set[str] = set()

    def made() -> Store:
        place = Faulty(S3Entries(BUCKET, uuid4().hex, endpoint=s3_server.url, timeout=20, **ACCESS))
        place.before = lambda asked: whole.update(asked.keys) if isinstance(asked, FetchMany) else None
        return over(place)

    source, target = made(), made()
    source.upload("large", [b"%d" % number * 1_000_000 for number in range(10, 15)], metadata={"m": 1}, ttl=1_000)
    source.put("small", 1)
    assert copy_entries(source, target, CopyOptions(dry_run=True)).moved == 2
    assert copy_entries(source, target).moved == 2
    again = copy_entries(source, target)
    assert (again.moved, again.same, whole) == (0, 2, {"small"})
    assert hashes(source) == hashes(target)
    small = Store(MemoryEntries(), largest=1_000)
    assert "takes at most 1,000" in copy_entries(source, small).left["large"]


@pytest.mark.parametrize("layers", [[], [Compression(threshold=0)]], ids=["bare", "compressed"])
def test_small_bodies_come_with_their_heads(s3_server: S3Server, layers: list[Layer]) -> None:
    place = Faulty(S3Entries(BUCKET, uuid4().hex, endpoint=s3_server.url, timeout=20, **ACCESS))
    source, target = over(place, *layers), Store(MemoryEntries())
    for key, value in {"empty": b"", "large": b"l" * (SMALL + 1), "packed": "p" * 100, "small": [1, "text"]}.items():
        source.put(key, value, metadata={"of": key})
    source.put("with a line", 1, metadata={"long": "m" * 3_000})
    asked: list[str] = []
    place.before = lambda operation: asked.extend(operation.keys) if isinstance(operation, FetchMany) else None
    assert copy_entries(source, target).moved == 5
    # What a layer has made of a body is not shown as one.
    more = ["packed", "small"] if layers else []
    assert sorted(asked) == sorted(["empty", "large", "with a line", *more])
    assert hashes(target) == hashes(source)
    asked.clear()
    assert copy_entries(target, source).same == 5
    assert sorted(asked) == sorted(["empty", "large", "with a line", *more])
