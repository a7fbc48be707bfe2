"""The compact form in which watched records are held, and its memory."""

from __future__ import annotations

import random
import tracemalloc
from uuid import UUID

import pytest

from database.changes import held as held_records
from database.changes.budget import MemoryBudget
from database.changes.budget import Share
from database.changes.held import HeldRecords
from database.changes.held import TooMuchHeld
from database.changes.held import row_digest

_DIGEST = b"12345678"


def _held(budget: MemoryBudget | None = None) -> HeldRecords:
    return HeldRecords(Share(budget or MemoryBudget()))


def _fill(held: HeldRecords) -> None:
    for number in range(1_000):
        held.put(str(number), _DIGEST)


def _addresses(chance: random.Random) -> list[str]:
    """Addresses of every kind, some of which are alike in bytes."""
    uuids = [str(UUID(int=chance.getrandbits(128))) for _ in range(150)]
    texts = [chance.choice("\0\1ab") * chance.randrange(40) + chance.choice("\1aé\U0001f600") for _ in range(150)]
    return list({*uuids, *[one.upper() for one in uuids[:20]], *map(str, range(-50, 50)), *texts, "", "\1" * 16})


@pytest.mark.parametrize("seed", range(20))
def test_it_holds_what_a_dictionary_holds(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_records, "_MOST_ENTRIES", 2 + seed % 4)
    chance = random.Random(seed)
    addresses, held, expected, marked = _addresses(chance), _held(), dict[str, bytes](), set[str]()
    for _ in range(3_000):
        address, digest = chance.choice(addresses), chance.choice((b"\1" * 8, b"\0" * 8, chance.randbytes(8)))
        match chance.randrange(5):
            case 0 | 1:
                assert held.put(address, digest) == expected.get(address)
                expected[address] = digest
                marked.add(address)
            case 2:
                assert held.remove(address) == (expected.pop(address, None) is not None)
                marked.discard(address)
            case 3:
                held.mark(address)
                marked |= {address} & expected.keys()
            case _:
                assert (address in held) == (address in expected)
                if not chance.randrange(50):
                    held.remove_marks()
                    marked.clear()
        assert len(held) == len(expected)
    assert set(held.unmarked()) == expected.keys() - marked
    assert {address: held.put(address, _DIGEST) for address in expected} == expected


def test_a_record_costs_few_bytes() -> None:
    budget, chance = MemoryBudget(), random.Random(1)
    unsorted = [str(UUID(int=chance.getrandbits(128))) for _ in range(20_000)]
    addresses = [*sorted(unsorted[:12_000]), *sorted(unsorted[12_000:16_000], reverse=True), *unsorted[16_000:]]
    held = _held(budget)
    tracemalloc.start()
    for address in addresses:
        held.put(address, _DIGEST)
    needed = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert needed < 30 * len(addresses)
    assert needed < 1.2 * budget.used


def test_beyond_the_budget_nothing_more_is_held() -> None:
    budget = MemoryBudget(10_000)
    first, second = _held(budget), _held(budget)
    first.put("a", _DIGEST)
    with pytest.raises(TooMuchHeld, match="10000 bytes"):
        _fill(second)
    assert budget.used <= 10_000
    assert second.put("0", b"87654321") == _DIGEST
    assert "a" in first


def test_what_is_given_back_can_be_taken_again() -> None:
    budget = MemoryBudget(100)
    first, second = Share(budget), Share(budget)
    assert first.resize(100)
    assert not second.resize(1)
    assert (second.size, second.refused) == (0, True)
    assert first.resize(40)
    assert second.resize(60)
    assert not second.refused
    first.give_back(for_good=True)
    assert budget.used == 60
    assert not first.resize(10)
    assert second.resize(100)


def test_other_values_have_another_digest() -> None:
    rows: list[dict[str, object]] = [
        {"a": 1},
        {"a": 1.0},
        {"a": True},
        {"a": "1"},
        {"a": None},
        {"b": 1},
        {"a": 1, "b": 1},
    ]
    assert len({row_digest(row)[0] for row in rows}) == len(rows)
    assert row_digest({"a": 1, "b": 2}) == row_digest({"b": 2, "a": 1})
