"""The application's own stores, by their names: values under keys, in Python and at ``/api/storage/<name>/<key>``.

Replace them with yours; ``docs/storage.md`` describes backends, layers and access rules. A store that is declared
without a backend is in the application's database. Without stores, the HTTP interface has no routes for them.
"""

from __future__ import annotations

from storage import StoreDeclaration

STORES = {
    "default": StoreDeclaration(access="user"),
}
