"""The framework is handed the application's own, and imports none of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
APPLICATION = {"config.tables", "config.application", "migrations"}


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_the_framework_imports_nothing_of_the_application() -> None:
    modules = [
        ROOT / "app.py",
        *(path for folder in ("api", "auth", "cli", "database") for path in (ROOT / folder).rglob("*.py")),
    ]
    assert len(modules) > 200
    assert [path.name for path in modules if APPLICATION & set(imported(path))] == []


def test_the_framework_and_its_tests_name_the_sample_nowhere_else() -> None:
    """Its tests have tables of their own."""
    modules = [path for path in (ROOT / "tests").rglob("*.py") if "sample" not in path.parts]
    assert [path.name for path in modules if APPLICATION & set(imported(path))] == []
