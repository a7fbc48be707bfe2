"""The application's own stores, by their names: values under keys, in Python and at ``/api/storage/<name>/<key>``.

Replace them with yours; ``docs/storage.md`` describes backends, layers and access rules. A store that is declared
without a backend is in the application's database. Without stores, the HTTP interface has no routes for them.

``RECORD_STORES`` declares stores of records with routes of their own, such as ``/api/evaluations``; their tables are
declared in ``config/tables.py``: ``docs/stores/evaluations.md`` and ``docs/stores/agents.md``.
"""

from __future__ import annotations

from storage import FileEntries
from storage import StoreDeclaration
from storage import StoreSetup
from stores import RecordStoreDeclaration


def beside_the_database(setup: StoreSetup) -> FileEntries:
    """Files beside the SQLite file. An application on several machines needs a place that all of them share."""
    return FileEntries(setup.settings.local_db.path.parent / setup.name)


STORES = {
    "default": StoreDeclaration(access="user"),
    # For the codes and outputs of evaluations that are too large for a row. Without access rules, it has no routes.
    "outputs": StoreDeclaration(backend=beside_the_database),
}

RECORD_STORES = {
    "agents": RecordStoreDeclaration(),
    "evaluations": RecordStoreDeclaration(blobs="outputs"),
}
"""Stores with a meaning of their own, each with its tables in ``tables.py``. Without them, there are no routes."""
