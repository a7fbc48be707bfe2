"""What an application declares of its record stores, in ``RECORD_STORES`` of its module ``stores``."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from importlib import import_module
from types import MappingProxyType
from typing import Any
from typing import Final

from config.settings import ConfigurationError
from database.adapter.interface import Database
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action
from database.core.tables.access_rules import granted_by
from database.core.tables.schema import Schema

_ACTIONS: Final[tuple[Action, ...]] = ("read", "write", "delete")

NAMES: Final = ("agents", "evaluations", "experiments")
"""The record stores that an application may declare."""

_OPTIONS: Final = {"blobs": "evaluations", "general": "experiments"}
"""The record store that each of these options is for."""

SIGNED_IN: Final = MappingProxyType({"read": "user", "write": "user", "delete": "role:admin"})
"""Who is signed in reads and writes; admins delete."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordStoreDeclaration:
    """A record store of the application. Its tables are declared among the application's own.

    :ivar access: who may read, write and delete over HTTP, as in ``info["access"]`` of a table.
    :ivar blobs: of evaluations, the store, declared in ``STORES``, for what is too large for a row; None if there is
        none.
    :ivar general: of experiments, the store, declared in ``STORES``, for values whose keys have no known prefix, which
        are refused without it.
    """

    access: Mapping[str, object] = field(default_factory=lambda: SIGNED_IN)
    blobs: str | None = None
    general: str | None = None

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
        if unknown := [str(one) for one in declared if one not in NAMES]:
            reason = f"there is no record store {unknown[0]!r}; use {', '.join(NAMES)}"
            raise ConfigurationError({f"{name}.RECORD_STORES": reason})
        for one, declaration in declared.items():
            _refuse_useless(one, declaration)
        return dict(declared)
    raise ConfigurationError({name: "RECORD_STORES must be a dict of names to RecordStoreDeclaration(…)"})


def require_tables(name: str, database: Database, needed: Mapping[str, Collection[str]]) -> None:
    """Refuse to keep records in a database without their tables.

    :param name: the record store.
    :param needed: the columns of each table.
    :raises ConfigurationError: says what to call.
    """
    # A connection manager knows its tables also while it has no adapter that it could ask.
    schema: Schema = getattr(database, "schema", None) or database.adapter.schema
    missing = [table for table, columns in needed.items() if not _has(schema, table, columns)]
    if missing:
        reason = (
            f"needs the tables {', '.join(missing)} as they are declared by stores.declare_{name}(metadata); call it in"
            " config/tables.py, and make a migration with `flask db revision`"
        )
        raise ConfigurationError({f"record store {name}": reason})


def _has(schema: Schema, table: str, columns: Collection[str]) -> bool:
    return table in schema and schema.table(table).columns.keys() >= {*columns}


def _refuse_useless(name: str, declaration: RecordStoreDeclaration) -> None:
    for option, owner in _OPTIONS.items():
        if name != owner and getattr(declaration, option) is not None:
            reason = f"has no {option}, which only {owner} have; leave {option} out"
            raise ConfigurationError({f"record store {name}": reason})
