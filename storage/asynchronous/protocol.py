"""What every asynchronous storage has; a class of an application may have it without inheriting anything."""

from __future__ import annotations

from typing import Any
from typing import Protocol
from typing import runtime_checkable


@runtime_checkable
class StorageProtocol(Protocol):
    """Values under keys. What ``save`` and ``delete`` return is not used: it may be None."""

    async def save(self, key: str, value: Any) -> object:
        """Store a value, replacing the one that is there."""

    async def load(self, key: str) -> Any:
        """The value of a key. :raises KeyError: if there is none."""

    async def exists(self, key: str) -> bool:
        """Whether there is a value; raises if that cannot be known."""

    async def delete(self, key: str) -> object:
        """Delete a value, if there is one."""

    async def list_keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with ``prefix``, in order."""

    async def close(self) -> None:
        """Close all connections. It may be called repeatedly."""
