"""What happens to the lines and to the servers while sync runs, in an order that a seed decides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from collections.abc import Iterator
from random import Random
from time import sleep
from typing import Final

from tests.integration.sync.real_pairs.places import COMMITS
from tests.integration.sync.real_pairs.places import Killable
from tests.integration.sync.real_pairs.places import Place
from tests.integration.sync.real_pairs.syncing import Syncing
from tests.servers.network.faults import Blackhole
from tests.servers.network.faults import CutAfter
from tests.servers.network.faults import Fault
from tests.servers.network.faults import LoseReply
from tests.servers.network.faults import Refuse
from tests.servers.network.proxy import FaultProxy

_SHORT: Final = (0.02, 0.15)
"""Seconds for which a line is cut."""

Event = tuple[str, Callable[[], None]]


class Trouble:
    """Lines that are cut, and servers that are killed and started again; a side without a server has its sync killed.

    :ivar happened: how often, by name.
    """

    def __init__(self, random: Random, places: tuple[Place, Place], syncing: Syncing) -> None:
        self._random = random
        self._deck = self._dealt([event for place in places for event in self._events(place, syncing)])
        self.happened: Counter[str] = Counter()

    def strike(self) -> None:
        """Have the next thing happen, and be over."""
        name, happen = next(self._deck)
        happen()
        self.happened[name] += 1

    def _dealt(self, events: list[Event]) -> Iterator[Event]:
        """Each of the events once, in any order, again and again."""
        while True:
            yield from self._random.sample(events, len(events))

    def _events(self, place: Place, syncing: Syncing) -> Iterator[Event]:
        yield f"{place.kind} killed", lambda: self._kill(place.server or syncing)
        line = place.line
        if line is None:
            return
        faults: dict[str, Callable[[], Fault]] = {
            "reply lost": LoseReply,
            "reply of a commit lost": lambda: LoseReply(COMMITS[place.kind]),
            "reply cut": lambda: CutAfter(self._random.randrange(30_000)),
            "refused": Refuse,
            "held up": Blackhole,
        }
        yield f"{place.kind} reset", line.kill_connections
        for name, make in faults.items():
            yield f"{place.kind} {name}", lambda make=make: self._cut(line, make())  # type: ignore[misc]

    def _kill(self, victim: Killable) -> None:
        victim.kill()
        sleep(self._random.uniform(*_SHORT))
        victim.start()

    def _cut(self, line: FaultProxy, fault: Fault) -> None:
        line.set(fault)
        sleep(self._random.uniform(*_SHORT))
        line.heal()
