"""The mirror: no copy stays behind unnoticed, whatever happens to the store, to a copy, or to the process."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from config.settings import load_settings
from database import flask_scope
from database import internal_tables
from database.backends.memory import MemoryAdapter
from database.connection_manager import ConnectionManager
from database.core.context import NO_CONTEXT
from database.core.context import SERVICE
from database.core.context import as_application
from database.core.operations import Operation
from database.core.tables.schema import Schema
from storage import Encryption
from storage import FileEntries
from storage import Keys
from storage import MemoryEntries
from storage import Mirrors
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageConnectionError
from storage import StorageOutcomeUnknown
from storage import Store
from storage import TableEntries
from storage import rewrap
from storage import written_to
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from tests.clocks import WallClock
from tests.storage.contract.places import lasting
from tests.storage.layers.faulty import EXAMPLES
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over
from tests.storage.writers import LENGTH
from tests.storage.writers import mirrored
from tests.storage.writers import write_on
from tests.storage.writers import writer

KILLS = int(os.environ.get("STORAGE_KILLS", "1"))


class Mirrored:
    """A store with two copies."""

    def __init__(self, source: Faulty | None = None, queue: Store | None = None) -> None:
        self.source = source or Faulty()
        self.places = {"one": Faulty(), "two": Faulty()}
        self.copies = {name: over(place) for name, place in self.places.items()}
        self.queue = queue or lasting()
        self.mirror = Mirrors(self.copies, self.queue, patience=0)
        self.clock = WallClock()
        self.store = over(self.source, self.mirror, clock=self.clock)

    def values(self) -> list[dict[str, Any]]:
        """What the store and its copies have."""
        return [
            {entry.key: entry.value for entry in store.find({}, limit=1_000)}
            for store in (over(self.source), *self.copies.values())
        ]

    def is_equal(self) -> bool:
        values = self.values()
        return values[0] == values[1] == values[2] and self.mirror.verify_integrity(bodies=True).consistency == 1


@pytest.fixture
def mirrored_store() -> Mirrored:
    return Mirrored()


def test_a_write_reaches_all_places(mirrored_store: Mirrored) -> None:
    store = mirrored_store.store
    with written_to() as places:
        put = store.put("key", 1, metadata={"m": 1}, ttl=1000)
    assert places == {"main": True, "one": True, "two": True}
    assert [copy.entry("key").etag for copy in mirrored_store.copies.values()] == [put.etag] * 2
    store.put_many({"a": 1, "b": 2, "c": 3})
    store.put("key", 2, expected=put.etag)
    store.delete("a")
    assert mirrored_store.values() == [{"b": 2, "c": 3, "key": 2}] * 3
    with pytest.raises(StorageConflictError):
        store.put("key", 3, expected=put.etag)
    assert store.clear("b") == 1
    assert mirrored_store.values() == [{"c": 3, "key": 2}] * 3
    assert mirrored_store.queue.count() == 0


def test_what_has_expired_is_swept_everywhere(mirrored_store: Mirrored) -> None:
    mirrored_store.store.put("key", 1, ttl=1)
    mirrored_store.clock.advance(2)
    assert mirrored_store.store.sweep() == 1
    assert [copy.run(Fetch("key")) for copy in mirrored_store.copies.values()] == [None, None]


def test_a_copy_that_was_out_of_reach_is_repaired(mirrored_store: Mirrored) -> None:
    store, place = mirrored_store.store, mirrored_store.places["one"]
    store.put("deleted", 1)
    store.put("cleared", 1)
    with place.down():
        with written_to() as places:
            store.put("key", 1)
            store.put("key", 2)
        assert places == {"main": True, "one": False, "two": True}
        store.delete("deleted")
        store.clear("cleared")
        assert mirrored_store.mirror.repair().left == 4
    assert mirrored_store.values()[1] == {"cleared": 1, "deleted": 1}
    assert mirrored_store.values()[2] == {"key": 2}
    repaired = mirrored_store.mirror.repair()
    assert (repaired.done, repaired.left) == (4, 0)
    assert mirrored_store.is_equal()
    (layer,) = mirrored_store.store.snapshot()["layers"]
    assert (layer["name"], layer["counts"]["missed"], layer["operations"]["put"]["ok"]) == ("mirror", 4, 4)


def test_the_queue_survives_the_process(tmp_path: Path) -> None:
    first = Mirrored(queue=Store(FileEntries(tmp_path)))
    with first.places["two"].down():
        first.store.put("key", 1)
    second = Mirrors(first.copies, Store(FileEntries(tmp_path)))
    over(first.source, second)
    assert second.repair().done == 1
    assert first.is_equal()


def test_nothing_is_written_that_is_not_marked(mirrored_store: Mirrored) -> None:
    mirror = Mirrors(mirrored_store.copies, lasting(broken := Faulty()))
    store = over(mirrored_store.source, mirror)
    with broken.down(), pytest.raises(StorageConnectionError):
        store.put("key", 1)
    assert mirrored_store.values() == [{}, {}, {}]


def test_a_write_of_unknown_outcome_is_repaired(mirrored_store: Mirrored) -> None:
    with mirrored_store.source.losing_answers(), pytest.raises(StorageOutcomeUnknown):
        mirrored_store.store.put("key", 1)
    assert mirrored_store.values() == [{"key": 1}, {}, {}]
    mirrored_store.mirror.repair()
    assert mirrored_store.is_equal()
    with mirrored_store.places["one"].losing_answers():
        mirrored_store.store.put("key", 2)
    mirrored_store.mirror.repair()
    assert mirrored_store.is_equal()


@pytest.mark.parametrize("where", ["source", "one", "two"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_writer_that_is_killed_in_between(mirrored_store: Mirrored, where: str, when: str) -> None:
    mirrored_store.store.put("key", 1)
    place = mirrored_store.source if where == "source" else mirrored_store.places[where]

    def killed(operation: Operation) -> None:
        if isinstance(operation, Put | Remove):
            raise KeyboardInterrupt

    calls: list[Callable[[], object]] = [
        lambda: mirrored_store.store.put("key", 2),
        lambda: mirrored_store.store.delete("key"),
    ]
    for call in calls:
        setattr(place, when, killed)
        with pytest.raises(KeyboardInterrupt):
            call()
        place.heal()
        assert mirrored_store.mirror.repair().left == 0
        assert mirrored_store.is_equal()


def test_a_write_that_is_under_way_keeps_its_mark(mirrored_store: Mirrored) -> None:
    others = Mirrors(mirrored_store.copies, mirrored_store.queue)
    over(mirrored_store.source, others)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Put):
            mirrored_store.source.heal()
            assert others.repair().left == 1
            raise KeyboardInterrupt

    mirrored_store.source.before = meanwhile
    with pytest.raises(KeyboardInterrupt):
        mirrored_store.store.put("key", 1)
    assert mirrored_store.queue.count() == 1


@pytest.mark.parametrize("where", ["source", "one"])
def test_a_write_of_unknown_outcome_that_arrives_late(mirrored_store: Mirrored, where: str) -> None:
    mirror = Mirrors(mirrored_store.copies, mirrored_store.queue)
    store = over(mirrored_store.source, mirror)
    place = mirrored_store.source if where == "source" else mirrored_store.places[where]
    late: list[Operation] = []

    def lose(operation: Operation) -> None:
        if isinstance(operation, Put):
            late.append(operation)
            raise StorageOutcomeUnknown("the answer was lost")

    place.before = lose
    with suppress(StorageOutcomeUnknown):
        store.put("key", 1)
    place.heal()
    assert mirror.repair().left == 1
    if where == "one":
        store.put("key", 2)
    place.backend.execute(late[0], NO_CONTEXT)
    assert mirror.repair().left == 1
    assert mirrored_store.is_equal()


def test_writers_that_reach_the_copies_in_another_order(mirrored_store: Mirrored) -> None:
    place = mirrored_store.places["one"]

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Put):
            place.heal()
            mirrored_store.store.put("key", 2)

    place.before = meanwhile
    mirrored_store.store.put("key", 1)
    assert mirrored_store.values() == [{"key": 2}] * 3
    place.before = meanwhile
    mirrored_store.store.put("key", 3)
    assert mirrored_store.is_equal()


def test_a_repair_that_a_write_overtakes(mirrored_store: Mirrored) -> None:
    place = mirrored_store.places["one"]
    with place.down():
        mirrored_store.store.put("key", 1)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Put):
            place.heal()
            mirrored_store.store.put("key", 2)

    place.before = meanwhile
    assert mirrored_store.mirror.repair().left == 0
    assert mirrored_store.values() == [{"key": 2}] * 3


def test_a_condition_is_decided_by_the_store_alone(mirrored_store: Mirrored) -> None:
    with mirrored_store.places["one"].down():
        put = mirrored_store.store.put("key", 1)
    with written_to() as places:
        mirrored_store.store.put("key", 2, expected=put.etag)
    assert places == {"main": True, "one": True, "two": True}


def test_many_writers_at_once_leave_equal_copies(mirrored_store: Mirrored) -> None:
    def work(number: int) -> None:
        for turn in range(40):
            key = f"k{turn % 3}"
            if turn % 7 == number:
                mirrored_store.store.delete(key)
            elif turn % 11 == number:
                mirrored_store.store.clear("k1")
            else:
                mirrored_store.store.put(key, [number, turn])

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, range(4)))
    assert mirrored_store.queue.count() == 0
    assert mirrored_store.is_equal()


def test_a_copy_answers_while_the_store_is_out_of_reach(mirrored_store: Mirrored) -> None:
    store = mirrored_store.store
    store.put_many({"a": 1, "b": 2})
    with mirrored_store.source.down():
        assert (store.load("a"), store.get("missing")) == (1, None)
        assert [entry.value for entry in store.find({})] == [1, 2]
        with mirrored_store.places["one"].down():
            assert store.load("b") == 2
            with mirrored_store.places["two"].down(), pytest.raises(StorageConnectionError):
                store.load("b")
        with pytest.raises(StorageConnectionError):
            store.put("a", 3)
    assert mirrored_store.is_equal()


def test_no_copy_answers_that_may_be_behind(mirrored_store: Mirrored) -> None:
    store = mirrored_store.store
    store.put_many({"a": 1, "b": 1})
    with mirrored_store.places["one"].down():
        store.put("a", 2)
    with mirrored_store.source.down():
        assert store.load("b") == 1
        with pytest.raises(StorageConnectionError):
            store.load("a")
        with pytest.raises(StorageConnectionError):
            store.count()


def test_a_damaged_entry_is_read_from_a_copy_and_not_copied(tmp_path: Path) -> None:
    mirrored_store = Mirrored(Faulty(FileEntries(tmp_path)))
    mirrored_store.store.put("key", 1)
    (tmp_path / "key").write_bytes(b"{")
    assert mirrored_store.store.load("key") == 1
    found = mirrored_store.mirror.verify_integrity(repair=True)
    assert (found.different, found.repaired) == ({"one": ["key"], "two": ["key"]}, 0)
    assert mirrored_store.copies["one"].load("key") == 1


def test_verify_integrity_finds_and_repairs_differences_of_which_nobody_knew(mirrored_store: Mirrored) -> None:
    store, one = mirrored_store.store, mirrored_store.copies["one"]
    assert mirrored_store.mirror.verify_integrity().consistency == 1
    for number in range(10):
        store.put(f"k{number}", number)
    one.delete("k1")
    one.put("k2", "another")
    one.put("surplus", 1)
    entry = one.run(Fetch("k3"))
    one.run(Put(entry._replace(body=b"4")))
    found = mirrored_store.mirror.verify_integrity()
    assert (found.total_keys, found.key_counts) == (11, {"main": 10, "one": 10, "two": 10})
    assert (found.missing["one"], found.different["one"], found.surplus["one"]) == (["k1"], ["k2"], ["surplus"])
    assert found.consistency == pytest.approx(8 / 11)
    assert mirrored_store.mirror.verify_integrity(bodies=True).different["one"] == ["k2", "k3"]
    assert mirrored_store.mirror.verify_integrity(bodies=True, repair=True).repaired == 4
    assert mirrored_store.is_equal()


def test_keys_that_were_wrapped_again_are_copied_too() -> None:
    keys = {"old": os.urandom(32), "new": os.urandom(32)}
    source, copies = Faulty(), {"copy": over(place := Faulty())}
    mirror = Mirrors(copies, lasting(), patience=0)
    over(source, Encryption(Keys(keys, "old")), mirror).put("key", 1)
    rotated = Encryption(Keys(keys, "new"))
    over(source, rotated, mirror)
    with place.down():
        assert rewrap(rotated.behind, rotated).done == 1
    assert mirror.repair().done == 1
    assert over(place, Encryption(Keys({"new": keys["new"]}, "new"))).load("key") == 1


@pytest.fixture
def manager() -> Iterator[ConnectionManager]:
    adapter = MemoryAdapter(schema=Schema.of(internal_tables.metadata))
    made = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
    yield made
    made.disconnect()


@pytest.mark.parametrize("in_one_database", [True, False])
def test_copies_get_what_a_request_has_committed(manager: ConnectionManager, *, in_one_database: bool) -> None:
    queue = Store(TableEntries(manager, "queue")) if in_one_database else lasting()
    mirrored_store = Mirrored(Faulty(TableEntries(manager)), queue)
    app = Flask(__name__)
    flask_scope.init_app(app, manager, caller=SERVICE)

    @app.post("/<int:status>")
    def keep(status: int) -> tuple[dict[str, bool], int]:
        with written_to() as places:
            mirrored_store.store.put("key", status)
        return places, status

    client = app.test_client()
    assert client.post("/400").status_code == 400
    assert mirrored_store.values() == [{}, {}, {}]
    assert client.post("/200").json == {"main": True, "one": False, "two": False}
    assert mirrored_store.values() == [{"key": 200}] * 3
    assert mirrored_store.queue.count() == 0
    with as_application(), manager.transaction():
        mirrored_store.store.put("key", 1)
        assert mirrored_store.values()[1] == {"key": 200}
    assert mirrored_store.mirror.repair().done == 1
    assert mirrored_store.is_equal()


def test_what_makes_no_mirror() -> None:
    copy = Store(MemoryEntries())
    with pytest.raises(StorageConfigurationError, match="durable"):
        Mirrors({"copy": copy}, copy)
    for copies in ({}, {"main": copy}):
        with pytest.raises(StorageConfigurationError, match="copies"):
            Mirrors(copies, lasting())


KEYS = st.sampled_from(["a", "ab", "b"])
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "delete", "clear", "one", "two", "up", "repair"]), KEYS, st.integers()),
    max_size=25,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(STEPS)
def test_after_a_repair_all_places_are_one_dictionary(steps: list[tuple[str, str, int]]) -> None:
    mirrored_store, model = Mirrored(), dict[str, int]()
    for verb, key, value in steps:
        if verb == "put":
            mirrored_store.store.put(key, value)
            model[key] = value
        elif verb == "delete":
            assert mirrored_store.store.delete(key) is (model.pop(key, None) is not None)
        elif verb == "clear":
            mirrored_store.store.clear(key)
            model = {name: kept for name, kept in model.items() if not name.startswith(key)}
        elif verb == "up":
            for place in mirrored_store.places.values():
                place.heal()
        elif verb == "repair":
            mirrored_store.mirror.repair()
        else:
            mirrored_store.places[verb].before = _out_of_reach
    for place in mirrored_store.places.values():
        place.heal()
    assert mirrored_store.mirror.repair().left == 0
    assert mirrored_store.values() == [model] * 3


def _out_of_reach(_: Operation) -> None:
    raise StorageConnectionError("it is out of reach")


def test_a_writer_that_is_killed_leaves_copies_that_can_be_repaired(tmp_path: Path) -> None:
    """As often as ``STORAGE_KILLS`` says."""
    for kill in range(KILLS):
        acknowledged: list[int] = []
        with writer(write_on, 3, mirrored(tmp_path)) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline()) for _ in range(5 + kill % 20)]
            process.kill()
            acknowledged += [int(line) for line in process.stdout.readlines() if line.endswith(b"\n")]
        store = mirrored(tmp_path)()
        _, mirror = store.layers
        assert isinstance(mirror, Mirrors)
        mirror.repair()
        store.sweep()
        assert mirror.verify_integrity(bodies=True).wrong == set()
        newest = {f"key {number % 3}": number for number in acknowledged}
        found = {key: store.load(key) for key in newest}
        assert all(len(value) == LENGTH and len(set(value)) == 1 for value in found.values())
        assert all(found[key][0] in {number, acknowledged[-1] + 1} for key, number in newest.items())
