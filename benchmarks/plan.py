"""How much a run of the benchmarks measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a run.

    :ivar rounds: the number of measurements of every case.
    :ivar warm_up: the number of rounds before them, which do not count.
    :ivar part: the share of the full work that a round does, up to 1.
    :ivar watch: seconds before each table for which the load of other processes is measured; 0 skips this.
    :ivar earlier: a commit whose pipeline is also measured.
    """

    rounds: int = 15
    warm_up: int = 1
    part: float = 1.0
    watch: float = 0.2
    earlier: str | None = None

    def of(self, full: int) -> int:
        """The part of ``full``, a number of a full run, that this plan does; at least 1."""
        return max(1, round(full * self.part))


SMALL = Plan(rounds=1, warm_up=0, part=0.01, watch=0.01)
"""Everything once, only to check that it runs; the results have no meaning."""
