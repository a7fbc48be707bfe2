"""Run the benchmarks: ``python -m benchmarks [--rounds N] [--earlier COMMIT] [section ...]``, all sections by default.

Prints a table for each measurement, then the table for ``docs/reference/benchmarks.md``, and its differences from the
table in that document.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from dataclasses import replace

from benchmarks.earlier import ROOT
from benchmarks.plan import Plan
from benchmarks.sections.loading import SECTIONS
from benchmarks.sections.loading import load
from benchmarks.summary import DOCUMENT
from benchmarks.summary import summary
from benchmarks.table import QUIET
from benchmarks.table import Table
from tests.laboratory import ENVIRONMENT


def main(given: Sequence[str] | None = None, plan: Plan = Plan()) -> None:  # noqa: B008 - it does not change
    """Run the sections named on the command line.

    :param given: the arguments of the command line; those of the process by default.
    :param plan: the defaults for missing arguments.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"one of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--rounds", type=int, default=plan.rounds, help="number of measurements of every case")
    parser.add_argument("--earlier", metavar="COMMIT", help="also measure the pipeline of this commit")
    arguments = parser.parse_args(given)
    names = arguments.sections or SECTIONS
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; sections are {', '.join(SECTIONS)}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    # Measure the tests' application, because the project's own may declare other tables.
    os.environ.update(ENVIRONMENT)
    _run(names, replace(plan, rounds=arguments.rounds, earlier=arguments.earlier))


def _run(names: Sequence[str], plan: Plan) -> None:
    sections = [load(name) for name in names]
    tables: list[Table] = []
    for section in sections:
        for table in section.tables(plan):
            print(f"\n{table.markdown()}", flush=True)
            tables.append(table)
    lines = [line for section in sections for line in section.LINES]
    print(f"\n{summary(lines, tables, (ROOT / DOCUMENT).read_text(), whole=len(names) == len(SECTIONS))}")
    if busy := [table.title for table in tables if table.busy > QUIET]:
        print(f"\nThe machine was busy before {len(busy)} of {len(tables)} tables; measure them again:")
        print("\n".join(f"* {title}" for title in busy))


if __name__ == "__main__":
    main()
