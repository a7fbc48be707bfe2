"""Names of a package whose modules are imported with their first use, as PEP 562 has it.

What loads a driver or a parser is named in this way by its package, and whoever may do without says ``package.name``
where it is used. Importing a name *from* the package is such a use.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Mapping
from importlib import import_module
from types import ModuleType
from typing import Any


def on_first_use(package: str, modules: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package. Threads may share it: Python imports a module once.

    :param package: its ``__name__``.
    :param modules: the package's module that each name is in, or the name itself for that of a module.
    """

    def import_now(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = import_module(f"{package}.{modules[name]}")
        value = module if name == modules[name] else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    return import_now


def load(package: ModuleType) -> None:
    """Import all that a package would import with the first use of its names."""
    for name in package.__all__:
        getattr(package, name)
