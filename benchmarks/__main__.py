"""Measure: ``python -m benchmarks [--rounds N] [--earlier COMMIT] [section ...]``, all sections by default.

Printed are a table for everything that is measured, then that of ``docs/reference/benchmarks.md`` for it, and how it
differs from the one that stands there.
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
    """Run the sections that are named on the command line.

    :param given: the command line's arguments, by default the process' own.
    :param plan: what is measured as far as the arguments do not say.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--rounds", type=int, default=plan.rounds, help="how often every case is measured")
    parser.add_argument("--earlier", metavar="COMMIT", help="measure the pipeline beside the one of this commit")
    arguments = parser.parse_args(given)
    names = arguments.sections or SECTIONS
    if unknown := set(names) - set(SECTIONS):
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if arguments.rounds < 1:
        parser.error("--rounds must be at least 1")
    # The application that is measured is the tests' own, whatever the project's declares.
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
