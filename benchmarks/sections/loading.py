"""The list of the sections."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Protocol
from typing import cast

from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table

SECTIONS = (
    *("pipeline", "sqlite", "types", "postgres", "flask", "start", "auth", "convex", "gunicorn", "supabase"),
    *("sync", "storage", "stores"),
)
"""The modules of this package, in the order of the document's table."""


class Section(Protocol):
    """The interface of a section's module.

    :ivar LINES: its lines in ``docs/reference/benchmarks.md``.
    """

    LINES: tuple[Line, ...]

    def tables(self, plan: Plan) -> Iterator[Table]:
        """Measure, and yield one table after another."""


def load(name: str) -> Section:
    """Import a section by its name."""
    return cast(Section, import_module(f"benchmarks.sections.{name}"))
