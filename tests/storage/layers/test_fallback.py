"""The fallback: what was acknowledged while the store was out of reach is carried out when it is back, in order."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from database import internal_tables
from database.backends.memory import MemoryAdapter
from database.core.context import Context
from database.core.errors import DataError
from database.core.errors import PoolExhausted
from database.core.operations import Operation
from database.core.tables.schema import Schema
from storage import Fallback
from storage import FileEntries
from storage import MemoryEntries
from storage import Mirrors
from storage import StorageCapacityError
from storage import StorageConfigurationError
from storage import StorageConflictError
from storage import StorageConnectionError
from storage import StorageOutcomeUnknown
from storage import StoragePermissionError
from storage import StorageThrottled
from storage import StorageTimeoutError
from storage import Store
from storage import TableEntries
from storage import written_to
from storage.core.capabilities import StoreCapabilities
from storage.core.errors import as_storage_error
from storage.core.operations import Fetch
from storage.core.operations import Put
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.layers.fallback.journal import Journal
from tests.clocks import START
from tests.storage.contract.places import lasting
from tests.storage.layers.faulty import EXAMPLES
from tests.storage.layers.faulty import Faulty
from tests.storage.layers.faulty import over
from tests.storage.writers import LENGTH
from tests.storage.writers import out_of_reach
from tests.storage.writers import write_on
from tests.storage.writers import writer

KILLS = int(os.environ.get("STORAGE_KILLS", "1"))


class Held:
    """A store with a fallback, as one of several processes sees it."""

    def __init__(self, source: Faulty | None = None, to: Store | None = None, **options: Any) -> None:
        self.source, self.to = source or Faulty(), to or lasting()
        self.fallback = Fallback(self.to, **options)
        self.store = over(self.source, self.fallback)
        self.direct = over(self.source)

    def other(self) -> Held:
        """Another process, with a network of its own."""
        return Held(Faulty(self.source.backend), self.to)


@pytest.fixture
def held() -> Held:
    return Held()


def test_writes_of_an_outage_reach_the_store_when_it_is_back(held: Held) -> None:
    held.store.put("old", 1)
    with held.source.down():
        with written_to() as places:
            put = held.store.put("new", 1, metadata={"m": 1}, ttl=1000)
        assert places == {"main": False, "journal": True}
        held.store.put("old", 2)
        assert (held.store.load("new"), held.store.load("old")) == (1, 2)
        assert held.store.head("new") == put
        assert held.fallback.pending() == 2
    with written_to() as places:
        held.store.put("later", 3)
    assert places == {"main": True}
    assert {entry.key: entry.value for entry in held.direct.find({})} == {"later": 3, "new": 1, "old": 2}
    assert held.direct.entry("new").expires_at == put.expires_at
    assert (held.fallback.pending(), held.to.count()) == (0, 0)


def test_they_are_carried_out_in_their_order(held: Held) -> None:
    with held.source.down():
        for number, key in enumerate("abacab"):
            held.store.put(key, number)
    seen: list[tuple[str, bytes]] = []
    held.source.before = lambda operation: (
        seen.append((operation.entry.key, operation.entry.body)) if isinstance(operation, Put) else None
    )
    assert held.fallback.heal() == 6
    assert seen == [(key, b"%d" % number) for number, key in enumerate("abacab")]


def test_they_survive_the_process(tmp_path: Path) -> None:
    source = Faulty()
    first = Held(source, Store(FileEntries(tmp_path)))
    with source.down():
        first.store.put("key", b"\0\xff", media_type="image/png")
        second = Held(source, Store(FileEntries(tmp_path)))
        assert second.store.entry("key").media_type == "image/png"
        second.store.put("other", 2)
    assert Held(source, Store(FileEntries(tmp_path))).store.load("key") == b"\0\xff"
    assert first.direct.load("other") == 2


def test_what_is_not_known_in_an_outage_is_refused(held: Held) -> None:
    etag = held.store.put("key", 1).etag
    calls: list[Callable[[], object]] = [
        lambda: held.store.load("key"),
        lambda: held.store.exists("other"),
        lambda: held.store.put("key", 2, expected=etag),
        lambda: held.store.put("new", 2, if_absent=True),
        lambda: held.store.delete("key"),
        lambda: held.store.delete("key", expected=etag),
        held.store.clear,
        lambda: list(held.store.keys()),
        lambda: held.store.find({}),
    ]
    with held.source.down():
        held.store.put("pending", 1)
        for call in calls:
            with pytest.raises(StorageConnectionError):
                call()
    assert sorted(held.store.keys()) == ["key", "pending"]


def test_what_the_journal_knows_is_decided_by_it(held: Held) -> None:
    with held.source.down():
        first = held.store.put("key", 1)
        with pytest.raises(StorageConflictError, match="exists already"):
            held.store.put("key", 2, if_absent=True)
        second = held.store.put("key", 2, expected=first.etag)
        with pytest.raises(StorageConflictError, match="was changed"):
            held.store.put("key", 3, expected=first.etag)
        assert held.store.delete("key", expected=second.etag) is True
        assert held.store.delete("key") is False
        assert held.store.get("key") is None
        last = held.store.put("key", 4, if_absent=True)
        assert held.store.entry("key").etag == last.etag
    assert held.store.load("key") == 4
    assert held.direct.entry("key").etag == last.etag


def test_a_batch_of_an_outage_is_one(held: Held) -> None:
    with held.source.down():
        held.store.put_many({"a": 1, "b": 2})
        assert held.fallback.pending() == 1
        assert (held.store.load("a"), held.store.load("b")) == (1, 2)
    kinds: list[str] = []
    held.source.before = lambda operation: kinds.append(operation.kind)
    assert held.store.load("b") == 2
    assert kinds.count("batch") == 1
    assert [entry.value for entry in held.direct.find({})] == [1, 2]


@pytest.mark.parametrize(
    "error",
    [
        lambda: StorageOutcomeUnknown("lost"),
        lambda: StoragePermissionError("no"),
        lambda: StorageThrottled("slowly"),
        lambda: PoolExhausted("all in use"),
        lambda: StorageCapacityError("large"),
    ],
)
def test_other_errors_are_no_outage(held: Held, error: Callable[[], DataError]) -> None:
    with held.source.down(error), pytest.raises(type(as_storage_error(error()))):
        held.store.put("key", 1)
    assert held.store.get("key") is None


def test_a_timeout_is_one(held: Held) -> None:
    with held.source.down(lambda: StorageTimeoutError("late")):
        held.store.put("key", 1)
    assert held.store.load("key") == 1


def test_several_processes_share_what_is_pending(held: Held) -> None:
    other = held.other()
    with held.source.down():
        held.store.put("key", 1)
        # The other one reaches the store, and brings it up to date before it does anything of its own.
        assert other.store.load("key") == 1
        other.store.put("key", 2)
        with pytest.raises(StorageConnectionError):
            held.store.load("key")
        held.store.put("key", 3)
        with other.source.down():
            other.store.put("key", 4)
            assert held.store.load("key") == 4
            held.store.put("key", 5)
            assert other.store.load("key") == 5
    assert other.store.load("key") == held.store.load("key") == 5


def test_threads_and_processes_write_while_the_store_comes_and_goes(held: Held) -> None:
    processes = [held, held.other()]
    calls = count()

    def flapping(_: Operation) -> None:
        if next(calls) // 5 % 2:
            raise StorageConnectionError("it is out of reach")

    for process in processes:
        process.source.before = flapping

    def write(key: str) -> None:
        for number in range(40):
            processes[number % 2].store.put(key, number)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(write, "abcd"))
    for process in processes:
        process.source.heal()
    assert {entry.key: entry.value for entry in held.store.find({})} == dict.fromkeys("abcd", 39)
    assert held.to.count() == 0


def test_two_processes_that_carry_out_the_same(held: Held) -> None:
    other = held.other()
    with held.source.down():
        held.store.put("key", 1)
        held.store.put("key", 2)
        held.store.delete("key")
        held.store.put("key", 3)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Put):
            held.source.heal()
            other.store.put("key", 4)

    held.source.before = meanwhile
    assert held.store.load("key") == 4
    assert held.to.count() == 0


def test_a_condition_is_not_decided_by_what_another_process_has_carried_out(held: Held) -> None:
    other = held.other()
    journal = Faulty(held.to.backend)
    slow = Held(held.source, lasting(journal))
    with held.source.down():
        first = slow.store.put("key", 1)

        def meanwhile(operation: Operation) -> None:
            if isinstance(operation, Put):
                journal.heal()
                other.store.put("key", 2)

        journal.before = meanwhile
        with pytest.raises(StorageOutcomeUnknown):
            slow.store.put("key", 3, expected=first.etag)
    assert other.store.load("key") == slow.store.load("key") == 2


def test_a_write_that_was_under_way_when_the_outage_began_does_not_undo_a_later_one(held: Held) -> None:
    with held.source.down():
        first = held.store.put("key", 1)
        held.store.put("key", 2, expected=first.etag)

    def meanwhile(operation: Operation) -> None:
        if isinstance(operation, Put) and operation.entry.body == b"2":
            held.source.heal()
            held.direct.put("key", "from before")

    held.source.before = meanwhile
    assert held.store.load("key") == 2


def test_a_write_that_is_killed_while_it_is_carried_out_is_carried_out_again(held: Held) -> None:
    with held.source.down():
        first = held.store.put("key", 1)
        held.store.put("key", 2, expected=first.etag)
        held.store.put_many({"a": 1, "b": 2})
        held.store.delete("a")

    def killed(_: Operation) -> None:
        raise KeyboardInterrupt

    for _ in range(4):
        held.source.after = lambda operation: None if isinstance(operation, Fetch | Scan) else killed(operation)
        with pytest.raises(KeyboardInterrupt):
            held.store.load("key")
    held.source.heal()
    assert {entry.key: entry.value for entry in held.store.find({})} == {"b": 2, "key": 2}


def test_an_unknown_outcome_while_it_is_carried_out_is_nobodys_own(held: Held) -> None:
    with held.source.down():
        held.store.put("key", 1)
    with held.source.losing_answers():
        assert held.store.load("key") == 1  # by the journal
    assert held.store.load("key") == 1
    assert held.fallback.pending() == 0


def test_what_the_store_refuses_is_put_aside(held: Held, caplog: pytest.LogCaptureFixture) -> None:
    with held.source.down():
        held.store.put("large", b"x" * 100)
        held.store.put("key", 1)

    def refuse(operation: Operation) -> None:
        if isinstance(operation, Put) and operation.entry.size == 100:
            raise StorageCapacityError("it is too large")

    held.source.before = refuse
    assert held.store.load("key") == 1
    assert held.fallback.pending() == 0
    (refused,) = held.fallback.refused()
    assert isinstance(refused, Put)
    assert refused.entry.body == b"x" * 100
    assert "it is too large" in caplog.text


def test_a_copy_answers_for_what_the_journal_does_not_know(held: Held) -> None:
    mirrors = Mirrors({"copy": lasting()}, lasting())
    store = over(held.source, Fallback(held.to), mirrors)
    store.put_many({"a": 1, "b": 1})
    with held.source.down():
        store.put("a", 2)
        assert (store.load("a"), store.load("b")) == (2, 1)
        with pytest.raises(StorageConnectionError):
            list(store.keys())  # the copy does not know what is pending
    assert [entry.value for entry in store.find({})] == [2, 1]
    assert mirrors.verify_integrity().consistency == 1


def test_the_journal_is_limited() -> None:
    held = Held(most=2)
    with held.source.down():
        held.store.put("a", 1)
        held.store.put("b", 1)
        with pytest.raises(StorageConnectionError):
            held.store.put("c", 1)
    assert sorted(held.store.keys()) == ["a", "b"]


def test_what_is_too_large_for_the_journal_is_refused() -> None:
    small = MemoryEntries()
    small.capabilities = StoreCapabilities(largest=1_000)
    held = Held(to=Store(small, "journal"))
    with held.source.down():
        with pytest.raises(StorageCapacityError, match="journal"):
            held.store.put("key", b"x" * 1_000)
        assert held.fallback.pending() == 0
        held.store.put("key", b"x" * 100)
    assert held.store.load("key") == b"x" * 100


def test_a_deadline_ends_what_is_carried_out_and_loses_nothing(held: Held) -> None:
    with held.source.down():
        held.store.put("key", 1)
    with pytest.raises(StorageTimeoutError, match="brought up to date"):
        held.fallback._heal(Context(deadline=0.0))
    assert held.store.load("key") == 1


def test_a_transaction_takes_nothing_that_it_could_not_roll_back() -> None:
    adapter = MemoryAdapter(schema=Schema.of(internal_tables.metadata))
    source = Faulty(TableEntries(adapter))
    held = Held(source)
    with adapter.transaction(), source.down(), pytest.raises(StorageConnectionError):
        held.store.put("key", 1)
    assert held.to.count() == 0
    adapter.disconnect()


def test_records_are_not_taken_for_those_that_had_their_places_before() -> None:
    place = lasting()
    one, other = Journal(place), Journal(place)
    removes = [Remove(key, START) for key in "abc"]
    old = one.append(removes[0])
    assert old is not None
    one.remove(old)
    other.catch_up()
    new = other.append(removes[1])
    assert new is not None
    assert (new.name, one.has(old), other.has(new)) == (old.name, False, True)
    one.remove(old)
    assert one.latest("a") is None
    one.catch_up()
    assert (len(one), one.latest("a"), one.latest("b")) == (1, None, (new, removes[1]))
    assert not one.replace(old, removes[2])
    assert one.append(removes[2]) is not None
    assert other.append(removes[2]) is None
    assert [record.operation for record in other.records()] == removes[1:]


def test_a_place_that_forgets_is_refused() -> None:
    with pytest.raises(StorageConfigurationError, match="must keep"):
        Fallback(Store(MemoryEntries()))


KEYS = st.sampled_from("ab")
STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "new", "same", "delete", "down", "up", "other"]), KEYS, st.integers()),
    max_size=25,
)


@settings(max_examples=EXAMPLES, deadline=None)
@given(STEPS)
def test_what_is_acknowledged_is_a_dictionary(steps: list[tuple[str, str, int]]) -> None:
    first = Held()
    processes = [first, first.other()]
    model = dict[str, int]()
    etags = dict[str, str]()
    for verb, key, value in steps:
        held = processes[0]
        if verb == "other":
            processes.reverse()
        elif verb == "down":
            held.source.before = _out_of_reach
        elif verb == "up":
            held.source.heal()
        elif verb == "delete":
            _acknowledged(lambda: _same(held.store.delete(key), model.pop(key, None) is not None))  # noqa: B023
        else:
            expected = etags.get(key, "none") if verb == "same" else None
            put = _acknowledged(
                lambda: held.store.put(key, value, expected=expected, if_absent=verb == "new")  # noqa: B023
            )
            if put is not None:
                assert verb == "put" or (key in model) is (verb == "same")
                model[key], etags[key] = value, put.etag
    for held in processes:
        held.source.heal()
        assert {entry.key: entry.value for entry in held.store.find({})} == model


def _acknowledged(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except (StorageConnectionError, StorageConflictError):
        return None


def _same(found: bool, expected: bool) -> None:
    assert found is expected


def _out_of_reach(_: Operation) -> None:
    raise StorageConnectionError("it is out of reach")


def test_a_writer_that_is_killed_in_an_outage_loses_nothing(tmp_path: Path) -> None:
    """As often as ``STORAGE_KILLS`` says."""
    for kill in range(KILLS):
        folder = tmp_path / str(kill)
        folder.mkdir()
        (folder / "main").write_text("no folder")
        with writer(write_on, 3, out_of_reach(folder)) as process:
            assert process.stdout is not None
            acknowledged = [int(process.stdout.readline()) for _ in range(5 + kill % 20)]
            process.kill()
            acknowledged += [int(line) for line in process.stdout.readlines() if line.endswith(b"\n")]
        (folder / "main").unlink()
        found = {entry.key: entry.value for entry in out_of_reach(folder)().find({})}
        newest = {f"key {number % 3}": number for number in acknowledged}
        assert all(len(value) == LENGTH and len(set(value)) == 1 for value in found.values())
        assert all(found[key][0] in {number, acknowledged[-1] + 1} for key, number in newest.items())
        assert Store(FileEntries(folder / "pending")).count() == 0
