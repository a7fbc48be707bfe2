"""The common tests of evaluations in a database: ``python -m unittest storage.backends.database.tests``."""

from __future__ import annotations

import stores
from database import MemoryAdapter
from database import Schema
from database import internal_tables
from database.columns import table_metadata


class DatabaseStorageTests(stores.StorageServiceSuite):
    """Evaluations in the tables of a database, in memory."""

    def make(self) -> stores.StorageService:
        metadata = table_metadata()
        stores.declare_evaluations(metadata)
        return stores.DatabaseStorage(MemoryAdapter(schema=Schema.of(metadata, internal_tables.metadata)))
