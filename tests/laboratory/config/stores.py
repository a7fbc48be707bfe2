"""The stores of the framework's tests: one of each kind of access, and one outside of the database."""

from __future__ import annotations

from storage import Encryption
from storage import FileEntries
from storage import StoreDeclaration
from storage import StoreSetup
from storage.core.layer import Layer


def sealed(setup: StoreSetup) -> list[Layer]:
    """Encrypted, if there are keys."""
    return [Encryption(setup.encryption_keys())] if setup.settings.storage.keys else []


STORES = {
    "default": StoreDeclaration(access="user"),
    "own": StoreDeclaration(
        access={"read": ["owner", "role:staff"], "write": "owner", "delete": "owner"}, largest=1_000
    ),
    "public": StoreDeclaration(access={"read": "anyone", "write": "role:editor", "delete": "role:editor"}),
    "closed": StoreDeclaration(),
    "files": StoreDeclaration(
        access="user",
        backend=lambda setup: FileEntries(setup.settings.instance_path / "files"),
        layers=sealed,
    ),
}
