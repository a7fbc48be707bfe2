"""What there is to measure."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol
from typing import cast

from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table

SECTIONS = ("pipeline", "sqlite", "postgres", "flask", "start", "auth", "convex", "gunicorn", "supabase")
"""Each is a module of this package, in the order of the document's table."""


class Section(Protocol):
    """What such a module has.

    :ivar LINES: what of its tables ``docs/reference/benchmarks.md`` shows.
    """

    LINES: tuple[Line, ...]

    def tables(self, plan: Plan) -> Iterator[Table]:
        """Measure, a table after the other."""


def load(name: str) -> Section:
    """A section by its name."""
    return cast(Section, import_module(f"benchmarks.sections.{name}"))
