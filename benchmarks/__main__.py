"""Run the benchmarks: ``python -m benchmarks [--rounds N] [section ...]``, all sections by default."""

from __future__ import annotations

import argparse
from importlib import import_module

SECTIONS = ("pipeline", "auth", "sqlite", "postgres", "flask", "convex", "supabase", "gunicorn")
"""Each is a module ``bench_<name>`` with a function ``run(rounds: int) -> None``."""


def main() -> None:
    """Run the sections that are named on the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="section", help=f"of {', '.join(SECTIONS)}; all by default")
    parser.add_argument("--rounds", type=int, default=15, help="how often every case is measured")
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    for section in arguments.sections or SECTIONS:
        import_module(f"benchmarks.bench_{section}").run(arguments.rounds)


if __name__ == "__main__":
    main()
