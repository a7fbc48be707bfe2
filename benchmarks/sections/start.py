"""Start-up: CPU time and memory of the application and of a command, compared with importing Flask and SQLAlchemy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from tempfile import TemporaryDirectory

from benchmarks.earlier import ROOT
from benchmarks.harness import compare
from benchmarks.plan import Plan
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

# An intermediate process, because the memory of a forked child includes that of its parent.
_OBSERVER = """
import json, resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss * unit]))
"""

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

        def measure(name: str) -> float:
            time, memory = _cost(_COMMANDS[name], folder)
            seen[name].append(memory)
            return time

        cases = {name: partial(measure, name) for name in _COMMANDS}
        yield compare(_CPU, cases, baseline=_BASELINE, plan=plan)
    yield Table(_MEMORY, _BASELINE, seen, megabytes)


def _cost(arguments: Sequence[str], folder: str) -> tuple[float, float]:
    """Run Python with ``arguments``; returns its CPU time in seconds and its peak memory in bytes."""
    files = {"LOCAL_DB_PATH": f"{folder}/start.db", "INSTANCE_PATH": folder, "DB_ADAPTER_ORDER": "local"}
    answer = subprocess.run(
        [sys.executable, "-c", _OBSERVER, *arguments],
        env={**os.environ, **files},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    time, memory = json.loads(answer.stdout)
    return time, memory
