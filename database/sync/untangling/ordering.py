"""Writes in the order of their needs; those that need each other in a ring are one part."""

from __future__ import annotations

from collections import defaultdict
from collections import deque
from collections.abc import Hashable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Generic
from typing import TypeVar

from database.sync.untangling.needs import Needs

Item = TypeVar("Item")

Graph = Sequence[Sequence[int]]
"""For each place the places that come before it."""


@dataclass(slots=True)
class Component(Generic[Item]):
    """Writes that are carried out together.

    :ivar waits_for: the writes of other parts that come before them.
    """

    items: list[Item]
    waits_for: list[Item] = field(default_factory=list)

    @property
    def is_ring(self) -> bool:
        """Whether each of them needs another one."""
        return len(self.items) > 1


def in_order(items: Sequence[Item], needs: Sequence[Needs], sorts: Sequence[Hashable]) -> list[Component[Item]]:
    """The parts, each behind those that it waits for. The time is linear.

    :param sorts: what each item is; items of one sort stand together where their needs allow it.
    """
    graph = _graph(needs)
    rings = _rings(graph)
    ring_of = {place: number for number, ring in enumerate(rings) for place in ring}
    before = [
        list(dict.fromkeys(ring_of[other] for place in ring for other in graph[place] if ring_of[other] != number))
        for number, ring in enumerate(rings)
    ]
    ring_sorts = [sorts[ring[0]] if len(ring) == 1 else len(ring) > 1 for ring in rings]
    return [
        Component(
            [items[place] for place in rings[number]],
            [items[other] for place in rings[number] for other in graph[place] if ring_of[other] != number],
        )
        for number in _sorted(before, ring_sorts)
    ]


def _graph(needs: Sequence[Needs]) -> Graph:
    providers: defaultdict[object, list[int]] = defaultdict(list)
    for place, need in enumerate(needs):
        for event in need.provides:
            providers[event].append(place)
    return [
        list(dict.fromkeys(other for event in need.requires for other in providers.get(event, ()) if other != place))
        for place, need in enumerate(needs)
    ]


def _rings(graph: Graph) -> list[list[int]]:
    """The strongly connected components, each in the order of its places (Tarjan, without recursion)."""
    found: list[list[int]] = []
    number: dict[int, int] = {}
    lowest: dict[int, int] = {}
    path: list[int] = []
    on_path: set[int] = set()
    for start in range(len(graph)):
        if start in number:
            continue
        work = [(start, iter(graph[start]))]
        number[start] = lowest[start] = len(number)
        path.append(start)
        on_path.add(start)
        while work:
            place, others = work[-1]
            for other in others:
                if other not in number:
                    number[other] = lowest[other] = len(number)
                    path.append(other)
                    on_path.add(other)
                    work.append((other, iter(graph[other])))
                    break
                if other in on_path:
                    lowest[place] = min(lowest[place], number[other])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[place])
                if lowest[place] == number[place]:
                    found.append(sorted(_taken(path, place)))
                    on_path.difference_update(found[-1])
    return found


def _taken(path: list[int], place: int) -> Iterator[int]:
    """Take from the end of the path what is there up to a place."""
    taken = path.pop()
    yield taken
    while taken != place:
        taken = path.pop()
        yield taken


def _sorted(before: Graph, sorts: Sequence[Hashable]) -> Iterator[int]:
    """The numbers in an order in which each stands behind those before it, those of one sort together."""
    behind: defaultdict[int, list[int]] = defaultdict(list)
    waiting = [len(others) for others in before]
    ready: dict[Hashable, deque[int]] = {}
    for number, others in enumerate(before):
        for other in others:
            behind[other].append(number)
        if not others:
            ready.setdefault(sorts[number], deque()).append(number)
    while ready:
        sort = next(iter(ready))
        while ready[sort]:
            number = ready[sort].popleft()
            yield number
            for other in behind[number]:
                waiting[other] -= 1
                if not waiting[other]:
                    ready.setdefault(sorts[other], deque()).append(other)
        del ready[sort]
