"""The docstrings of the error modules draw the real class trees."""

from __future__ import annotations

import re
from types import ModuleType

import pytest

from auth import errors as auth_errors
from database.core import errors as data_errors

_LINE = re.compile(r"^(?P<indent>(?:│   |    )*)[├└]── (?P<name>\w+)")


def drawn(module: ModuleType, root: str) -> dict[str, str]:
    """Each class below ``root`` in the module's docstring, with its base class."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in (module.__doc__ or "").splitlines():
        entry = _LINE.match(line.removeprefix("    "))
        if entry is None:
            path = [line.strip()]
            continue
        depth = len(entry["indent"]) // 4 + 1
        path = [*path[:depth], entry["name"]]
        if path[0] == root:
            parents[path[-1]] = path[-2]
    return parents


def declared(base: type[Exception]) -> dict[str, str]:
    """Each subclass of ``base`` in the same module, with its base class."""
    found: dict[str, str] = {}
    for child in base.__subclasses__():
        if child.__module__ == base.__module__:
            found |= {child.__name__: base.__name__, **declared(child)}
    return found


@pytest.mark.parametrize(
    ("module", "base"), [(auth_errors, auth_errors.AuthError), (data_errors, data_errors.DataError)]
)
def test_the_tree_in_the_docstring_has_every_error(module: ModuleType, base: type[Exception]) -> None:
    assert drawn(module, base.__name__) == declared(base)


@pytest.mark.parametrize("kind", list(declared(auth_errors.AuthError)))
def test_the_docstring_has_the_status_of_every_authentication_error(kind: str) -> None:
    status = getattr(auth_errors, kind).status
    assert re.search(rf"── {kind} +{status}\b", auth_errors.__doc__ or "")
