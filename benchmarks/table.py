"""The results of several cases as a Markdown table."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

Unit = Callable[[float], str]
"""Formats a figure."""

QUIET = 0.1
"""The share of all processors used by others from which the machine counts as busy."""


def seconds(figure: float) -> str:
    """A duration in s, ms or µs."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if figure >= size:
            return f"{figure / size:.3g} {unit}"
    return f"{figure / 1e-6:.3g} µs"


def megabytes(figure: float) -> str:
    """A size in millions of bytes."""
    return f"{figure / 1e6:.0f} MB"


def per_second(figure: float) -> str:
    """A rate per second."""
    return f"{figure:.0f}/s"


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of cases that were measured side by side.

    :ivar title: unique among all tables.
    :ivar baseline: the case to which the ratios refer.
    :ivar samples: the figures of every case, one per round.
    :ivar unit: formats a figure.
    :ivar note: a remark on all cases.
    :ivar busy: the share of all processors that others used just before, from 0 to 1.
    """

    title: str
    baseline: str
    samples: Mapping[str, Sequence[float]]
    unit: Unit = seconds
    note: str = ""
    busy: float = 0.0

    def median(self, case: str) -> float:
        """The median of a case's figures."""
        return statistics.median(self.samples[case])

    def ratio(self, case: str, to: str | None = None) -> float:
        """The median of the rounds' ratios.

        :param to: a case to use instead of the baseline.
        """
        return statistics.median(self._ratios(case, to or self.baseline))

    def markdown(self) -> str:
        """A line for each case with its median, quartiles and ratio with its range."""
        lines = [
            f"### {self.title}\n",
            *([f"{self.note}\n"] if self.note else []),
            f"| case | median | p25-p75 | ratio to *{self.baseline}* (range) |\n|---|---:|---:|---:|",
            *map(self._line, self.samples),
            *([f"\nThe machine was busy: other processes used {self.busy:.0%} of it."] if self.busy > QUIET else []),
        ]
        return "\n".join(lines)

    def _line(self, case: str) -> str:
        figures, ratios = self.samples[case], self._ratios(case, self.baseline)
        low, _, high = statistics.quantiles(figures, method="inclusive") if len(figures) > 1 else [figures[0]] * 3
        spread = f"{self.unit(low)} - {self.unit(high)}"
        ratio = f"{statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        return f"| {case} | {self.unit(self.median(case))} | {spread} | {ratio} |"

    def _ratios(self, case: str, to: str) -> list[float]:
        return [figure / base for figure, base in zip(self.samples[case], self.samples[to], strict=True)]
