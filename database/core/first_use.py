"""Lazy names of a package (PEP 562): a name's module is imported when the name is first used.

A package declares names in this way if their modules load a driver or a parser. Callers that may never need them write
``package.name`` at the place of use, because ``from package import name`` imports the module at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType
from types import ModuleType
from typing import Any


def on_first_use(
    package: str, modules: Mapping[str, str], others: Mapping[str, str] = MappingProxyType({})
) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package. It is thread-safe, because Python imports a module once.

    :param package: the package's ``__name__``.
    :param modules: by name, the submodule that defines it; a name that is a submodule itself maps to itself.
    :param others: by name, the package above this one in which it is; documents import it from here, too.
    """

    def import_now(name: str) -> Any:
        if name in others:
            return getattr(import_module(others[name]), name)
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{modules[name]}")
        value = module if name == modules[name] else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return import_now


def load(package: ModuleType) -> None:
    """Import the modules of all lazy names of a package."""
    for name in package.__all__:
        getattr(package, name)
