"""What the benchmarks say of their figures: the lines of the document, targets, and what has become worse."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.summary import DOCUMENT
from benchmarks.summary import HEAD
from benchmarks.summary import Line
from benchmarks.summary import summary
from benchmarks.table import Table
from benchmarks.table import megabytes
from benchmarks.table import per_second

READS = Table("reads", "by hand", {"by hand": [2e-6, 1e-6, 4e-6], "Isthmus": [3e-6, 3e-6, 4e-6], "peewee": [8e-6] * 3})
LINE = Line("a read", "reads", "Isthmus", "`sqlite3`", 1.4)


def shown(line: str) -> str:
    return f"Text.\n\n{HEAD}\n|---|\n{line}\n\n| another | table |\n"


def row(label: str, lines: str) -> str:
    [found] = [line for line in lines.splitlines() if line.startswith(f"| {label} |")]
    return found


def test_a_table_has_medians_and_the_medians_of_the_rounds_ratios() -> None:
    assert READS.median("Isthmus") == 3e-6
    assert READS.ratio("Isthmus") == 1.5
    assert READS.ratio("peewee", "Isthmus") == pytest.approx(8 / 3)
    assert "| Isthmus | 3 µs | 3 µs - 3.5 µs | 1.50 (1.00-3.00) |" in READS.markdown()


def test_a_table_of_a_busy_machine_says_so() -> None:
    assert "busy" not in READS.markdown()
    busy = Table(READS.title, READS.baseline, READS.samples, busy=0.42)
    assert "other processes used 42% of it" in busy.markdown()


def test_a_line_of_the_document_has_figure_ratio_target_and_peers() -> None:
    assert LINE.markdown(READS) == "| a read | 3 µs | `sqlite3` | 1.50 | 1.4 | | | 4.00 |"


@pytest.mark.parametrize(
    ("line", "table", "written", "missed"),
    [
        (LINE, READS, "1.4", True),
        (Line("a read", "reads", "Isthmus", "", 1.5), READS, "1.5", False),
        (Line("a read", "reads", "Isthmus", "", 2e-6, "figure"), READS, "2 µs", True),
        (Line("a read", "reads", "Isthmus", ""), READS, "", False),
        (Line("a read", "reads", "peewee", "", 2.6, base="Isthmus", at_least=True), READS, "≥ 2.6", False),
        (Line("a read", "reads", "peewee", "", 2.7, base="Isthmus", at_least=True), READS, "≥ 2.7", True),
        (Line("a", "m", "x", "", 105e6, "figure"), Table("m", "x", {"x": [104e6]}, megabytes), "105 MB", False),
    ],
)
def test_a_target_is_for_the_ratio_or_the_figure(line: Line, table: Table, written: str, *, missed: bool) -> None:
    assert line.markdown(table).split("|")[5].strip() == written
    assert line.missed(table) is missed
    assert f"Targets missed: {line.label if missed else 'none'}." in summary([line], [table], "")


@pytest.mark.parametrize(
    ("before", "change", "verdict"),
    [
        ("| a read | 2 µs | `sqlite3` | 1.40 | 1.4 | | | |", "+7%", ""),
        ("| a read | 2 µs | `sqlite3` | 1.30 | 1.4 | | | |", "+15%", "WORSE"),
        ("| a read | 0.002 ms | `sqlite3` | 3.00 | 1.4 | | | |", "-50%", ""),
    ],
)
def test_a_row_is_laid_beside_the_document_and_judged_by_its_ratio(before: str, change: str, verdict: str) -> None:
    _, _, told = summary([LINE], [READS], shown(before)).partition("## Beside")
    cells = [cell.strip() for cell in row("a read", told).split("|")]
    assert (cells[4], cells[7], cells[8]) == ("+50%", change, verdict)


def test_a_row_without_ratio_is_judged_by_its_figure_and_one_that_should_be_high_by_its_fall() -> None:
    figure = Line("a read", "reads", "Isthmus", "", 1e-6, "figure")
    _, _, told = summary([figure], [READS], shown("| a read | 2 µs | | | 1 µs | | | |")).partition("## Beside")
    assert row("a read", told).endswith("| WORSE |")
    rate = Line("a rate", "rates", "Isthmus", "x", 0.85, at_least=True, shows_figure=False)
    rates = Table("rates", "x", {"x": [100.0], "Isthmus": [80.0]}, per_second)
    for before, verdict in (("0.91", "| WORSE |"), ("0.60", "|  |")):
        _, _, told = summary([rate], [rates], shown(f"| a rate | | x | {before} | ≥ 0.85 | | | |")).partition(
            "## Beside"
        )
        assert row("a rate", told).endswith(verdict)


def test_rows_that_only_one_of_both_has_are_named() -> None:
    before = shown("| a write | 2 µs | `sqlite3` | 1.40 | 1.4 | | | |")
    whole = summary([LINE], [READS], before)
    assert row("a write", whole).endswith("| not measured |")
    assert whole.splitlines()[-2].endswith("| new |")
    assert "a write" not in summary([LINE], [READS], before, whole=False)


def test_ratios_to_different_baselines_are_not_compared() -> None:
    before = shown("| a read | 2 µs | an empty loop | 9.00 | 1.4 | | | |")
    _, _, told = summary([LINE], [READS], before).partition("## Beside")
    assert row("a read", told).endswith("| 1.50 | | other baseline |")


def test_a_case_that_was_not_asked_for_has_no_line() -> None:
    line = Line("beside", "reads", "Isthmus", "", base="the earlier commit")
    assert "beside |" not in summary([line], [READS], "")


def test_the_document_has_the_table() -> None:
    assert HEAD in (Path(__file__).parents[3] / DOCUMENT).read_text()
