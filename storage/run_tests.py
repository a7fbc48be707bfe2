"""The common tests of places for evaluations, on those that need no server: ``python storage/run_tests.py``.

``python -m unittest storage.run_tests.FileStorageTests`` runs those of one place.
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

if __name__ == "__main__":
    # As a file, it is started in its own folder, whose modules are those of a package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import stores
from database import MemoryAdapter
from database import Schema
from database import internal_tables
from database.columns import table_metadata
from storage import FileEntries
from storage import Store


class InMemoryStorageTests(stores.StorageServiceSuite):
    """Evaluations in memory."""

    def make(self) -> stores.StorageService:
        return stores.InMemoryStorage()


class FileStorageTests(stores.StorageServiceSuite):
    """Evaluations in files."""

    def make(self) -> stores.StorageService:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return stores.EvaluationStorage(Store(FileEntries(folder.name)))


class DatabaseStorageTests(stores.StorageServiceSuite):
    """Evaluations in the tables of a database, in memory."""

    def make(self) -> stores.StorageService:
        metadata = table_metadata()
        stores.declare_evaluations(metadata)
        return stores.DatabaseStorage(MemoryAdapter(schema=Schema.of(metadata, internal_tables.metadata)))


if __name__ == "__main__":
    unittest.main()
