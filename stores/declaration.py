"""What an application declares of its record stores, in ``RECORD_STORES`` of its module ``stores``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from importlib import import_module
from types import MappingProxyType
from typing import Any
from typing import Final

from config.settings import ConfigurationError
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action
from database.core.tables.access_rules import granted_by

_ACTIONS: Final[tuple[Action, ...]] = ("read", "write", "delete")

SIGNED_IN: Final = MappingProxyType({"read": "user", "write": "user", "delete": "role:admin"})
"""Who is signed in reads and writes; admins delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStoreDeclaration:
    """A record store of the application. Its tables are declared among the application's own.

    :ivar access: who may read, write and delete over HTTP, as in ``info["access"]`` of a table.
    :ivar blobs: the store, declared in ``STORES``, for what is too large for a row; None if there is none.
    """

    access: Mapping[str, object] = field(default_factory=lambda: SIGNED_IN)
    blobs: str | None = None

    def grants(self, name: str) -> dict[Action, Access]:
        """The grants of each action. :raises ConfigurationError: names what is wrong with them."""
        try:
            granted = granted_by(self.access, f"record store {name!r}")
        except (TypeError, ValueError) as error:
            raise ConfigurationError({f"record store {name}": str(error)}) from error
        if any(access.names("owner") for access in granted):
            reason = "cannot have the access rule owner, because its records have no owners; use user, or a role"
            raise ConfigurationError({f"record store {name}": reason})
        return dict(zip(_ACTIONS, granted, strict=True))


def declared_in(package: str) -> Mapping[str, RecordStoreDeclaration]:
    """The record stores that the application in ``package`` declares; none if it has no module ``stores``.

    :raises ConfigurationError: if they are not declared as they must be.
    """
    name = f"{package}.stores"
    try:
        declared: Any = getattr(import_module(name), "RECORD_STORES", {})
    except ModuleNotFoundError as error:
        if error.name == name:
            return {}
        raise
    if isinstance(declared, Mapping) and all(isinstance(one, RecordStoreDeclaration) for one in declared.values()):
        return dict(declared)
    raise ConfigurationError({name: "RECORD_STORES must be a dict of names to RecordStoreDeclaration(…)"})
