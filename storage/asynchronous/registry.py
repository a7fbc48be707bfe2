"""Asynchronous storage by names, for settings that choose one."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any
from typing import ClassVar
from typing import Final

from storage.asynchronous.protocol import StorageProtocol
from storage.core.errors import StorageConfigurationError
from storage.core.errors import shown

_BUILT_IN: Final = {
    "convex": "ConvexStorage",
    "file": "FileStorage",
    "memory": "MemoryStorage",
    "multi": "MultiBackendStorage",
    "sqlite": "SQLiteStorage",
}


class StorageRegistry:
    """Classes of storage by their names; an application may add its own."""

    _added: ClassVar[dict[str, Callable[..., StorageProtocol]]] = {}

    @classmethod
    def register(cls, name: str, storage_class: object) -> None:
        """Make a class known. :raises StorageConfigurationError: if it lacks a method of ``StorageProtocol``."""
        if not isinstance(storage_class, type) or not issubclass(storage_class, StorageProtocol):
            raise StorageConfigurationError(
                f"{shown(storage_class)} must be a class with the methods of StorageProtocol: save, load, exists,"
                " delete, list_keys and close"
            )
        cls._added[name] = storage_class

    @classmethod
    def get(cls, name: str, **config: Any) -> StorageProtocol:
        """A new storage of that name, with these parameters.

        :raises StorageConfigurationError: if there is no such name.
        """
        if not cls.is_registered(name):
            raise StorageConfigurationError(
                f"there is no storage {shown(name)}; use one of: {', '.join(cls.list_backends())}"
            )
        made = cls._added[name] if name in cls._added else getattr(import_module("storage"), _BUILT_IN[name])
        storage: StorageProtocol = made(**config)
        return storage

    @classmethod
    def list_backends(cls) -> list[str]:
        """All names."""
        return sorted({*_BUILT_IN, *cls._added})

    @classmethod
    def is_registered(cls, name: str) -> bool:
        """Whether there is a storage of that name."""
        return name in cls._added or name in _BUILT_IN

    @classmethod
    def unregister(cls, name: str) -> bool:
        """Forget a class that was registered; returns whether it was."""
        return cls._added.pop(name, None) is not None


def get_storage_registry() -> type[StorageRegistry]:
    """The registry, of which there is one."""
    return StorageRegistry
