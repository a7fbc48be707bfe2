"""The stores of an application: declared in its module ``stores``, and composed here, once."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from importlib import import_module
from types import MappingProxyType
from typing import Any
from typing import Final

from flask import Flask

import storage
from config.settings import ConfigurationError
from config.settings import Settings
from config.storage import storage_keys
from database.adapter.interface import Database
from database.core.context import as_application
from database.extension import Isthmus
from database.extension import current_isthmus
from storage.access import StoreAccess
from storage.core.backend import StoreBackend
from storage.core.errors import StorageConfigurationError
from storage.core.errors import shown
from storage.core.layer import Layer
from storage.core.layer import Repaired
from storage.core.layer import layers_within
from storage.core.store import Store

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class StoreSetup:
    """What a declaration may use to make its backend and its layers.

    :ivar name: of the store.
    :ivar database: the application's databases.
    :ivar dimensions: of the vectors; None if there are none.
    """

    name: str
    database: Database
    settings: Settings
    dimensions: int | None = None

    def encryption_keys(self) -> storage.Keys:
        """The keys of ``STORAGE_KEYS`` for :class:`~storage.layers.encryption.Encryption`.

        :raises ConfigurationError: if they are not set.
        """
        given = self.settings.storage.keys
        if given is None:
            raise ConfigurationError({"STORAGE_KEYS": f"must be set, because the store {self.name!r} is encrypted"})
        keys = storage_keys(given.get_secret_value())
        return storage.Keys(keys, next(iter(keys)))


def in_database(setup: StoreSetup) -> StoreBackend:
    """The table of stores in the application's database."""
    return storage.TableEntries(setup.database, setup.name, setup.dimensions)


def _no_layers(_: StoreSetup) -> Sequence[Layer]:
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreDeclaration:
    """A store of the application.

    :ivar access: who may read, write and delete, as in ``info["access"]`` of a table, or one rule for all three.
        Without any it is closed to callers; ``owner`` grants the entries whose keys begin with the caller's id and a
        slash.
    :ivar backend: makes the place of its entries; by default a table of the application's database.
    :ivar layers: make what is done to entries on their way, the first one first.
    :ivar largest: the largest value in bytes, if it is less than the backend takes.
    :ivar dimensions: of the vectors, by which a search finds entries; without them, there are none. A ``backend`` of
        your own gets them with its setup.
    """

    access: str | Mapping[str, object] = field(default_factory=dict)
    backend: Callable[[StoreSetup], StoreBackend] = in_database
    layers: Callable[[StoreSetup], Sequence[Layer]] = _no_layers
    largest: int | None = None
    dimensions: int | None = None


DEFAULT_STORES: Final = MappingProxyType({"default": StoreDeclaration(access="user")})
"""The stores of an application that has no module ``stores``."""


class Stores(Mapping[str, Store]):
    """The stores of one application, by their names.

    :raises ConfigurationError: names each store that is not declared as it must be.
    """

    def __init__(self, declared: Mapping[str, StoreDeclaration], settings: Settings, database: Database) -> None:
        self._stores: dict[str, Store] = {}
        self._access: dict[str, StoreAccess] = {}
        problems: dict[str, str] = {}
        for name, declaration in declared.items():
            try:
                self._compose(declaration, StoreSetup(name, database, settings, declaration.dimensions))
            except ConfigurationError as error:
                problems |= error.problems
            except (TypeError, ValueError, StorageConfigurationError) as error:
                problems[f"store {name}"] = str(error)
        if problems:
            raise ConfigurationError(problems)

    def __getitem__(self, name: str) -> Store:
        return self._stores[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._stores)

    def __len__(self) -> int:
        return len(self._stores)

    def access(self, name: str) -> StoreAccess:
        """The access rules of a store."""
        return self._access[name]

    def snapshot(self) -> dict[str, Any]:
        """What is known about each store, without a call: its place, its layers, its circuit and its counters."""
        return {name: _known(store) for name, store in self._stores.items()}

    def sweep_tables(self) -> int:
        """Delete the expired entries of all stores in the application's database, by an index; returns their number.

        The others are read from their first entry to the last one for it: ``flask storage sweep`` does that.
        """
        with as_application():
            return sum(store.sweep() for store in self._stores.values() if store.capabilities.joins)

    def repair(self, name: str) -> Repaired:
        """Bring up to date what the copies of a store have missed, also those of the stores of its layers."""
        with as_application():
            found = [layer.repair() for _, layer in layers_within(self._stores[name])]
        repaired = [one for one in found if one is not None]
        return Repaired(sum(one.done for one in repaired), sum(one.left for one in repaired))

    def close(self) -> None:
        """Close all connections; the next call opens them again."""
        for store in self._stores.values():
            store.close()

    def _compose(self, declaration: StoreDeclaration, setup: StoreSetup) -> None:
        if _NAME.fullmatch(setup.name) is None:
            raise ValueError("a name must have 1 to 64 lower case letters, digits, _ and -")
        access = StoreAccess(setup.name, declaration.access)
        self._stores[setup.name] = Store(
            declaration.backend(setup),
            setup.name,
            layers=[access, *declaration.layers(setup)],
            largest=declaration.largest,
        )
        self._access[setup.name] = access


def _known(store: Store) -> dict[str, Any]:
    return {
        "type": store.backend.kind,
        "layers": [layer for layer in store.snapshot()["layers"] if layer["name"] != StoreAccess.name],
        "durable": store.capabilities.durable,
        "largest": store.capabilities.largest,
        "place": dict(store.backend.describe()),
        **({} if store.pipeline is None else store.pipeline.snapshot()),
    }


def init_app(app: Flask, database: Database, settings: Settings) -> Stores:
    """Compose the stores that the application declares, and keep them in ``app``.

    :raises ConfigurationError: as :class:`Stores`.
    """
    stores = Stores(stores_in(settings.application_package), settings, database)
    Isthmus.of(app)[Stores] = stores
    return stores


def stores_in(package: str) -> Mapping[str, StoreDeclaration]:
    """The stores that the application in ``package`` declares. :raises ConfigurationError: if they are not declared."""
    name = f"{package}.stores"
    try:
        declared: Any = import_module(name).STORES
    except ModuleNotFoundError as error:
        if error.name == name:
            return DEFAULT_STORES
        raise ConfigurationError({name: f"cannot be imported: {error}"}) from error
    except (ImportError, AttributeError) as error:
        raise ConfigurationError({name: f"cannot be imported: {error}"}) from error
    if not isinstance(declared, Mapping) or not all(isinstance(one, StoreDeclaration) for one in declared.values()):
        raise ConfigurationError({name: "STORES must be a dict of names to StoreDeclaration(…)"})
    return dict(declared)


def current_store(name: str = "default") -> Store:
    """A store of the current app. Its calls have the rights of the caller.

    :raises StorageConfigurationError: if the application declares none of this name.
    """
    stores: Stores = current_isthmus()[Stores]
    if name not in stores:
        raise StorageConfigurationError(
            f"there is no store {shown(name)}; the application declares {', '.join(stores) or 'none'}"
        )
    return stores[name]
