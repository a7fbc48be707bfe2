"""The table of ``docs/reference/benchmarks.md``: its new lines, compared with those in the document."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks.table import Table
from benchmarks.table import Unit

DOCUMENT = Path("docs", "reference", "benchmarks.md")
PEERS = ("SQLAlchemy Core", "sqlspec", "peewee")
HEAD = f"| | Isthmus | baseline | ratio | target | {' | '.join(PEERS)} |"
_RULE = f"|---|---:|---|---:|---:|{'---:|' * len(PEERS)}"
_WORSE = 0.1
_FACTORS = {"µs": 1e-6, "ms": 1e-3, "s": 1.0, "MB": 1e6}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the document, made from a case of a table.

    :ivar label: the first cell.
    :ivar table: the title of the table.
    :ivar case: the measured case.
    :ivar against: the description of the baseline.
    :ivar target: the maximum of the ratio or of the figure.
    :ivar judged: the value that the target limits. For a figure, the line shows no ratio.
    :ivar base: the case to which the ratio refers, if not the table's baseline.
    :ivar at_least: the target is the minimum of the ratio.
    :ivar shows_figure: whether to show the figure; it has no meaning if it depends on a development server.
    """

    label: str
    table: str
    case: str
    against: str
    target: float | None = None
    judged: Literal["ratio", "figure"] = "ratio"
    base: str | None = None
    at_least: bool = False
    shows_figure: bool = True

    def measured_in(self, table: Table) -> bool:
        """Whether the table has the line's cases; an earlier commit is measured only on demand."""
        return {self.case, self.base or table.baseline} <= table.samples.keys()

    def markdown(self, table: Table) -> str:
        """The line of the document's table."""
        cells = (
            self.label,
            table.unit(table.median(self.case)) if self.shows_figure else "",
            self.against,
            f"{self._ratio(table):.2f}" if self.judged == "ratio" else "",
            self._target(table.unit),
            *(f"{table.ratio(peer):.2f}" if peer in table.samples else "" for peer in PEERS),
        )
        return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"

    def missed(self, table: Table) -> bool:
        """Whether the result misses the target."""
        if self.target is None:
            return False
        reached = self._ratio(table) if self.judged == "ratio" else table.median(self.case)
        return reached < self.target if self.at_least else reached > self.target

    def _ratio(self, table: Table) -> float:
        return table.ratio(self.case, self.base)

    def _target(self, unit: Unit) -> str:
        if self.target is None:
            return ""
        written = f"{self.target:g}" if self.judged == "ratio" else unit(self.target)
        return f"≥ {written}" if self.at_least else written


def summary(lines: Iterable[Line], tables: Sequence[Table], shown: str, *, whole: bool = True) -> str:
    """The document's table of the measured lines, the lines that miss their target, and the differences from ``shown``.

    :param shown: the text of the document.
    :param whole: whether everything was measured, so that rows found only in ``shown`` are listed.
    """
    by_title = {table.title: table for table in tables}
    measured = [
        (line, by_title[line.table])
        for line in lines
        if line.table in by_title and line.measured_in(by_title[line.table])
    ]
    new = "\n".join([HEAD, _RULE, *(line.markdown(table) for line, table in measured)])
    old = {label: cells for label, cells in _rows(shown).items() if whole or label in _rows(new)}
    missed = [line.label for line, table in measured if line.missed(table)]
    return "\n".join(
        [
            f"## Measured\n\n{new}\n",
            f"Targets missed: {'; '.join(missed) or 'none'}.\n",
            f"## Beside {DOCUMENT}\n",
            *beside(old, _rows(new)),
        ]
    )


def beside(old: Mapping[str, Sequence[str]], new: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """A line for each row with its figure and ratio in both tables, and their changes."""
    yield "| row | figure there | now | change | ratio there | now | change | |"
    yield f"|---|{'---:|' * 6}---|"
    for label, cells in new.items():
        figure, against, ratio, target = cells[:4]
        if label not in old or old[label][1] != against:
            yield f"| {label} | | {figure} | | | {ratio} | | {'other baseline' if label in old else 'new'} |"
            continue
        figure_there, ratio_there = old[label][0], old[label][2]
        by_figure, by_ratio = _change(figure_there, figure), _change(ratio_there, ratio)
        # Without a ratio the figure decides, although it also depends on the machine.
        decides = by_figure if by_ratio is None else by_ratio
        loss = 0.0 if decides is None else -decides if target.startswith("≥") else decides
        row = (label, figure_there, figure, _percent(by_figure), ratio_there, ratio, _percent(by_ratio))
        yield f"| {' | '.join(row)} | {'WORSE' if loss > _WORSE else ''} |"
    for label in old:
        if label not in new:
            yield f"| {label} | | | | | | | not measured |"


def _rows(text: str) -> dict[str, list[str]]:
    """The rows of the table: their other cells by the first one."""
    _, found, table = text.partition(HEAD)
    rows: dict[str, list[str]] = {}
    for line in table.splitlines()[2:] if found else []:
        if not line.startswith("|"):
            break
        label, *cells = (cell.strip() for cell in line.strip().strip("|").split("|"))
        rows[label] = cells
    return rows


def _change(before: str, now: str) -> float | None:
    """The relative change, such as 0.1 for 10 %; None if a cell has no number."""
    numbers = _number(before), _number(now)
    return None if None in numbers or not numbers[0] else numbers[1] / numbers[0] - 1  # type: ignore[operator]


def _number(cell: str) -> float | None:
    found = re.match(r"([\d.]+)(?: (\S+))?", cell)
    return float(found[1]) * _FACTORS.get(found[2], 1.0) if found else None


def _percent(change: float | None) -> str:
    return "" if change is None else f"{change:+.0%}"
