"""What a fresh process of Python costs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Sequence
from typing import NamedTuple

from benchmarks.earlier import ROOT

# An intermediate process, because the memory of a forked child includes that of its parent.
_OBSERVER = """
import json, resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
unit = 1 if sys.platform == "darwin" else 1024
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss * unit]))
"""


class Cost(NamedTuple):
    """What a process has cost.

    :ivar time: CPU time in seconds.
    :ivar memory: the most memory that it has had, in bytes.
    """

    time: float
    memory: float


def cost(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run Python with ``arguments``. :raises CalledProcessError: if it fails."""
    answer = subprocess.run(
        [sys.executable, "-c", _OBSERVER, *arguments],
        env={**os.environ, **(environment or {})},
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return Cost(*json.loads(answer.stdout))
