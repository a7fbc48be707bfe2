"""How much a run of the benchmarks measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    :ivar rounds: how often every case is measured.
    :ivar warm_up: rounds that go before and do not count.
    :ivar part: how much of a whole round's work a round does.
    :ivar watch: seconds before each table in which is looked whether others use the machine; 0 for not at all.
    :ivar earlier: a commit whose pipeline is measured beside this one's.
    """

    rounds: int = 15
    warm_up: int = 1
    part: float = 1.0
    watch: float = 0.2
    earlier: str | None = None

    def of(self, full: int) -> int:
        """The number that stands for ``full`` in a whole run; at least 1."""
        return max(1, round(full * self.part))


SMALL = Plan(rounds=1, warm_up=0, part=0.01, watch=0.01)
"""Everything once, to see that it still runs; its figures say nothing."""
