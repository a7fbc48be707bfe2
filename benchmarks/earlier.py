"""Measures the pipeline of an earlier commit, in a separate process."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Measure

ROOT = Path(__file__).parents[1]

# Uses only names of that commit's own benchmark, so that all other code may have been moved since.
_PROGRAM = """
import sys
from benchmarks.sections import pipeline as bench
from benchmarks.harness import per_call

pipeline = bench.Pipeline("bench", bench._answer)
measure = per_call(lambda: pipeline.call(bench._PING, bench.NO_CONTEXT), int(sys.argv[1]))
for _ in sys.stdin:
    print(measure(), flush=True)
"""


@contextmanager
def pipeline_of(commit: str, calls: int) -> Iterator[Measure]:
    """A measure of a call through the pipeline of ``commit``. :raises CalledProcessError: if git has no such commit."""
    command = ("git", "archive", f"{commit}^{{commit}}")
    archive = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout
    with TemporaryDirectory(prefix="isthmus-bench-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(folder, filter="data")
        with pipeline_in(Path(folder), calls) as measure:
            yield measure


@contextmanager
def pipeline_in(folder: Path, calls: int) -> Iterator[Measure]:
    """A measure of a call through the pipeline of the project in ``folder``: the mean of ``calls`` in a row."""
    command = (sys.executable, "-c", _PROGRAM, str(calls))
    with subprocess.Popen(
        command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        asks, answers = process.stdin, process.stdout
        assert asks is not None
        assert answers is not None

        def measure() -> float:
            asks.write("\n")
            return float(answers.readline())

        # The end of the block closes the standard input of the process, which ends it.
        yield measure
