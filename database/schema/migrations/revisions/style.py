"""Formats a generated migration in the project's style, if ruff is installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

_CONFIG: Final = Path(__file__).parents[4] / "pyproject.toml"
_STEPS: Final = (("check", "--fix-only", "--select", "I,F401"), ("format",))
_SECONDS: Final = 60


def format_file(path: Path) -> None:
    """Sort the imports of a file and format it; does nothing without ruff, which is a development dependency."""
    if find_spec("ruff") is None or not _CONFIG.exists():
        return
    for step in _STEPS:
        command = [sys.executable, "-m", "ruff", *step, "--quiet", "--no-cache", "--config", str(_CONFIG), str(path)]
        subprocess.run(command, check=False, timeout=_SECONDS)  # noqa: S603  # our own arguments
