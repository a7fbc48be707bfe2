"""The application's own stores, by their names: values under keys, in Python and at ``/api/storage/<name>/<key>``.

Replace them with yours; ``docs/storage.md`` describes backends, layers and access rules. A store that is declared
without a backend is in the application's database. Without stores, the HTTP interface has no routes for them.
"""

from __future__ import annotations

from storage import StoreDeclaration
from stores import RecordStoreDeclaration

STORES = {
    "default": StoreDeclaration(access="user"),
}

RECORD_STORES = {
    "agents": RecordStoreDeclaration(),
}
"""Stores with a meaning of their own, each with its tables in ``tables.py``. Without them, there are no routes."""
