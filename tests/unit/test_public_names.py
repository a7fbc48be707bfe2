"""What applications import: the names of ``auth``, ``database``, ``storage`` and ``stores``. So do our routes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType

import pytest

import auth
import database
import storage
import stores
from tests.documents.blocks import blocks

ROOT = Path(__file__).parents[2]
PACKAGES = [auth, database, storage, stores]
ROUTES = [ROOT / "app.py", *sorted((ROOT / "api").rglob("*.py")), *sorted((ROOT / "cli").rglob("*.py"))]
USERS = [*ROUTES, *sorted((ROOT / "config").rglob("*.py")), *sorted((ROOT / "benchmarks").rglob("*.py"))]
INSIDE = {
    "auth.errors": "two errors of the commands for keys",
    "auth.guards": "the records API admits callers by a table's rules",
    "auth.keys": "the published keys, and the commands for them",
    "auth.middleware": "create_app sets it up",
    "auth.sessions": "the cookies of sign-in, ended sessions, and purging",
    "auth.sign_in": "create_app sets it up",
    "database.adapter": "the records API puts related rows into its responses",
    "database.core.chance": "when background work runs",
    "database.core.clock": "the clock of background work and of records",
    "database.core.errors": "one table has the answer to each error",
    "database.core.first_use": "a server process loads what its requests can need",
    "database.core.kinds": "the records API reads values that come as text, and writes them as JSON",
    "database.core.lifecycle": "threads that live through a fork",
    "database.core.operations": "the parameters of SQL text, in an annotation",
    "database.core.query": "the records API reads and checks queries that come as text",
    "database.core.tables": "the records API reads and checks rows that come as text",
    "database.declared": "create_app hands the tables over",
    "database.flask_scope": "create_app sets it up; the server knows which methods only read",
    "database.purging": "purging, and its command",
    "database.resilience": "the metrics page; how often our own routes are repeated",
    "database.schema": "migrations, and their commands",
    "database.sync": "the commands of sync",
    "database.translation": "a server process loads what its requests can need",
    "storage.core.layer": "the commands for keys and copies look through the layers of stores",
    "storage.stack": "create_app composes the stores",
    "stores.migration": "the commands that copy records",
    "stores.declaration": "the routes of record stores find what the application declares of them",
    "stores.current": "the routes of record stores, and purging, have those of the app",
    "database.unit_of_work": "an idempotency key is kept in its request's transaction",
}
"""What routes and commands of ours import from inside of the packages, and the reason why no application needs to."""

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def homes(package: ModuleType) -> dict[str, str]:
    """The module that each name of the package is in, as type checkers see it."""
    tree = ast.parse(Path(str(package.__file__)).read_text())
    (typed,) = (node for node in tree.body if isinstance(node, ast.If))
    return {alias.name: module for node, module in from_imports(typed) for alias in node.names}


def from_imports(tree: ast.AST) -> Iterator[tuple[ast.ImportFrom, str]]:
    """All of ``from auth… import …`` and the like, each with the module's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and re.match(r"(auth|database|storage|stores)\b", str(node.module)):
            yield node, str(node.module)


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_there_and_is_what_is_named_so(package: ModuleType) -> None:
    for name, home in homes(package).items():
        assert getattr(package, name) is getattr(import_module(home), name)
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
    assert homes(package).keys() == set(package.__all__)


def test_no_two_public_names_are_the_same() -> None:
    names = [name for package in PACKAGES for name in package.__all__]
    assert len(names) == len(set(names))


def imports(page: Path) -> Iterator[tuple[str, str]]:
    for block in blocks(page, "python"):
        for node, module in from_imports(ast.parse(block.code)):
            yield from ((module, alias.name) for alias in node.names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_documents_import_from_the_public_names_only(page: Path) -> None:
    assert {module for module, _ in imports(page)} <= {"auth", "database", "storage", "stores"}


def test_a_public_name_is_imported_by_that_name() -> None:
    public = {name: package.__name__ for package in PACKAGES for name in package.__all__}
    deep = [
        f"{path.relative_to(ROOT)}: from {module} import {alias.name}"
        for path in USERS
        for node, module in from_imports(ast.parse(path.read_text()))
        for alias in node.names
        if public.get(alias.name, module) != module
    ]
    assert deep == []


def test_our_routes_import_public_names_except_what_no_application_needs() -> None:
    public = {f"{package.__name__}.{name}" for package in PACKAGES for name in package.__all__}
    inside = {
        f"{module}.{alias.name}"
        for path in ROUTES
        for node, module in from_imports(ast.parse(path.read_text()))
        for alias in node.names
    } - public
    excused = {name: module for name in inside for module in INSIDE if f"{name}.".startswith(f"{module}.")}
    assert inside - excused.keys() == set()
    assert set(excused.values()) == INSIDE.keys(), "an exception that nothing needs any more"
