"""Start-up: CPU time and memory of the application and of a command, compared with importing Flask and SQLAlchemy."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory

from benchmarks.harness import compare
from benchmarks.plan import Plan
from benchmarks.processes import cost
from benchmarks.summary import Line
from benchmarks.table import Table
from benchmarks.table import megabytes

_BASELINE = "import flask, sqlalchemy"
_APPLICATION = "create_app()"
_COMMAND = "flask auth keys"
_CPU = "Start: CPU time of a fresh process"
_MEMORY = "Start: peak memory of a fresh process"
_MOST_CPU = 3.5
_MOST_MEMORY = 105e6

_COMMANDS: Mapping[str, Sequence[str]] = {
    _BASELINE: ("-c", _BASELINE),
    _APPLICATION: ("-c", f"import app; app.{_APPLICATION}"),
    _COMMAND: ("-m", *_COMMAND.split()),
}

LINES = (
    Line("`create_app()` on SQLite, CPU time", _CPU, _APPLICATION, f"`{_BASELINE}`", _MOST_CPU),
    Line("`create_app()` on SQLite, peak memory", _MEMORY, _APPLICATION, f"`{_BASELINE}`", _MOST_MEMORY, "figure"),
    Line("`flask auth keys`, CPU time", _CPU, _COMMAND, f"`{_BASELINE}`", _MOST_CPU),
    Line("`flask auth keys`, peak memory", _MEMORY, _COMMAND, f"`{_BASELINE}`", _MOST_MEMORY, "figure"),
)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure the CPU time, and the memory in the same runs."""
    seen: dict[str, list[float]] = {name: [] for name in _COMMANDS}
    with TemporaryDirectory(prefix="isthmus-bench-") as folder:
        files = {"LOCAL_DB_PATH": f"{folder}/start.db", "INSTANCE_PATH": folder, "DB_ADAPTER_ORDER": "local"}

        def measure(name: str) -> float:
            time, memory = cost(_COMMANDS[name], files)
            seen[name].append(memory)
            return time

        cases = {name: partial(measure, name) for name in _COMMANDS}
        yield compare(_CPU, cases, baseline=_BASELINE, plan=plan)
    yield Table(_MEMORY, _BASELINE, seen, megabytes)
