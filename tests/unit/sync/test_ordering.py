"""The order of writes that need each other."""

from __future__ import annotations

from random import Random

import pytest

from database.sync.untangling.needs import Needs
from database.sync.untangling.ordering import Component
from database.sync.untangling.ordering import in_order

Edges = list[tuple[int, int]]


def _needs(number: int, edges: Edges) -> list[Needs]:
    """Of each edge, the first one waits for the second one."""

    def event(place: int) -> tuple[str, tuple[str, tuple[str, ...], int]]:
        return "made", ("table", ("id",), place)

    return [
        Needs(frozenset(event(other) for one, other in edges if one == place), frozenset([event(place)]))
        for place in range(number)
    ]


def _ordered(number: int, edges: Edges) -> list[Component[int]]:
    return in_order(range(number), _needs(number, edges), [place % 2 for place in range(number)])


def test_what_is_waited_for_comes_first() -> None:
    assert [part.items for part in _ordered(4, [(0, 1), (1, 2), (2, 3)])] == [[3], [2], [1], [0]]


def test_a_ring_is_one_part_and_what_waits_for_it_comes_behind() -> None:
    first, second = _ordered(4, [(0, 1), (1, 2), (2, 1), (2, 3), (3, 1)])
    assert (first.items, first.is_ring, first.waits_for) == ([1, 2, 3], True, [])
    assert (second.items, second.is_ring, second.waits_for) == ([0], False, [1])


def test_what_waits_for_nothing_stands_with_its_sort() -> None:
    assert [part.items for part in _ordered(4, [])] == [[0], [2], [1], [3]]


@pytest.mark.parametrize("seed", range(20))
def test_no_part_waits_for_a_later_one(seed: int) -> None:
    random = Random(seed)
    number = random.randint(1, 40)
    edges = [(random.randrange(number), random.randrange(number)) for _ in range(random.randrange(2 * number))]
    parts = _ordered(number, edges)
    assert sorted(item for part in parts for item in part.items) == list(range(number))
    reachable = {place: {place} for place in range(number)}
    for _ in range(number):
        for one, other in edges:
            reachable[one] |= reachable[other]
    done: set[int] = set()
    for part in parts:
        assert all(one in reachable[other] for one in part.items for other in part.items), "it is no ring"
        done |= set(part.items)
        assert all(other in done for one, other in edges if one in part.items)


def test_long_chains_do_not_recur() -> None:
    """A recursion would end in an error."""
    number = 50_000
    needs = [Needs(frozenset([("made", ("t", (), n + 1))]), frozenset([("made", ("t", (), n))])) for n in range(number)]
    assert [part.items[0] for part in in_order(range(number), needs, ["t"] * number)] == list(reversed(range(number)))
