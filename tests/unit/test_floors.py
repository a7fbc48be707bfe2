"""The floors of the house: who imports whom, how large a room is, and that a name has one meaning."""

from __future__ import annotations

import ast
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
FLOORS = (
    # Doors: names of documents, for what is in rooms above.
    {
        "app",
        *("storage.base", "storage.integration_example", "storage.migrate", "storage.migrate_old_data"),
        "storage.run_tests",
    },
    {"storage.backends.database.tests", "storage.backends.file.tests", "storage.backends.memory.tests"},
    {"config.application", "config.stores", "config.tables"},
    {"cli", "api"},
    {"stores"},
    {"auth", "storage"},
    {"database.purging"},
    {"database.sync", "database.flask_scope"},
    {"database.extension", "database.flask_attempts", "database.flask_streams"},
    {"database.connection_manager"},
    {"database.registry", "database.failover", "database.unit_of_work"},
    {"database.schema"},
    {"database.backends"},
    {"database.adapter"},
    {"database.translation"},
    {"database.sql"},
    {"database.changes", "database.resilience", "database.http", "database.declared"},
    {"database.internal_tables"},
    {"database.columns"},
    {"database.core"},
    {"config"},
)
"""From the top to the bottom. A module imports from its own floor's room and from the floors below."""

_MOST_FILES = 15
_OURS = ("api", "auth", "benchmarks", "cli", "config", "database", "docs", "storage", "stores", "tests")
"""An application may have folders of its own beside these."""
_GROWING = "versions"
"""Folders of revisions, which get one more with each change of the tables."""


def modules() -> Iterator[tuple[str, Path]]:
    yield "app", ROOT / "app.py"
    for package in ("api", "auth", "cli", "config", "database", "storage", "stores"):
        for path in sorted((ROOT / package).rglob("*.py")):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"), path


def place(module: str) -> tuple[int, str] | None:
    """The floor and the room of a module; None for a package that only names what is in its rooms."""
    for floor, rooms in enumerate(FLOORS):
        for room in rooms:
            if module == room or module.startswith(f"{room}."):
                return floor, room
    return None


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            # What is named may be a module itself, or a public name whose module is elsewhere.
            names = (f"{node.module}.{alias.name}" for alias in node.names)
            yield from (PUBLIC.get(name, name) for name in names)


def public_names() -> Iterator[tuple[str, str]]:
    """What packages import from their modules for others: as it is named there, and where it is."""
    for package in ("auth", "database", "storage", "stores"):
        for node in ast.walk(ast.parse((ROOT / package / "__init__.py").read_text())):
            if isinstance(node, ast.ImportFrom):
                yield from ((f"{package}.{alias.name}", f"{node.module}.{alias.name}") for alias in node.names)


PUBLIC = dict(public_names())


def files() -> Iterator[Path]:
    """What git keeps, or would keep: code, tests, documents and all."""
    listed = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return (Path(name) for name in names if name and (ROOT / name).is_file())


def test_every_module_has_a_floor() -> None:
    assert [name for name, _ in modules() if place(name) is None] == ["database"]


def test_imports_go_down() -> None:
    upwards = []
    for name, path in modules():
        here = place(name)
        for other in imported(path):
            there = place(other)
            if here is not None and there is not None and here[1] != there[1] and there[0] <= here[0]:
                upwards.append(f"{name} -> {other}")
    assert upwards == []


def test_no_folder_has_too_many_files() -> None:
    ours = [path for path in files() if path.parts[0] in _OURS and path.parent.name != _GROWING]
    folders = Counter(path.parent for path in ours)
    assert {str(folder): number for folder, number in folders.items() if number > _MOST_FILES} == {}


def test_no_two_public_classes_share_a_name() -> None:
    classes = Counter(
        node.name
        for _, path in modules()
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert {name for name, number in classes.items() if number > 1} == set()
