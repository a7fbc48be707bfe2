"""Tests with other frameworks, which are large: ``make peers`` installs them, each in an environment of its own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = Path(os.environ.get("PEERS", ROOT / ".peers"))


def interpreter(name: str) -> Path:
    """The Python in which a framework is installed."""
    return ENVIRONMENTS / name / "bin" / "python"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests of a framework that is not installed; the summary counts them as deselected."""
    absent = [
        item for item in items if (found := item.get_closest_marker("peer")) and not interpreter(found.args[0]).exists()
    ]
    if absent:
        items[:] = [item for item in items if item not in absent]
        config.hook.pytest_deselected(items=absent)
