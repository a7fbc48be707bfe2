"""What an application imports: the names of ``database`` and ``auth``, and no others."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pytest

import auth
import database
from tests.documents.blocks import blocks

ROOT = Path(__file__).parents[2]
PACKAGES = [auth, database]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_there_and_is_what_is_named_so(package: ModuleType) -> None:
    for name in package.__all__:
        assert getattr(package, name).__name__ == name
    assert list(package.__all__) == sorted(package.__all__)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_nothing_else_is_visible(package: ModuleType) -> None:
    inside = {module.name for module in iter_modules(package.__path__)}
    shown = {name for name in vars(package) if not name.startswith("_")}
    assert shown - inside - {"TYPE_CHECKING", "on_first_use"} <= set(package.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = package.no_such_name


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_types_and_first_uses_are_the_same_names(package: ModuleType) -> None:
    tree = ast.parse(Path(str(package.__file__)).read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in typed.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(package.__all__)


def test_no_two_public_names_are_the_same() -> None:
    names = [name for package in PACKAGES for name in package.__all__]
    assert len(names) == len(set(names))


def imports(page: Path) -> Iterator[tuple[str, str]]:
    for block in blocks(page, "python"):
        for node in ast.walk(ast.parse(block.code)):
            if isinstance(node, ast.ImportFrom) and re.match(r"(auth|database)\b", str(node.module)):
                yield from ((str(node.module), alias.name) for alias in node.names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_documents_import_from_the_public_names_only(page: Path) -> None:
    assert {module for module, _ in imports(page)} <= {"auth", "database"}
