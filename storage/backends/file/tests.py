"""The common tests of evaluations in files: ``python -m unittest storage.backends.file.tests``."""

from __future__ import annotations

from tempfile import TemporaryDirectory

import stores
from storage import FileEntries
from storage import Store


class FileStorageTests(stores.StorageServiceSuite):
    """Evaluations in files."""

    def make(self) -> stores.StorageService:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return stores.EvaluationStorage(Store(FileEntries(folder.name)))
