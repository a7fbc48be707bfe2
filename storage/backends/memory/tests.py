"""The common tests of evaluations in memory: ``python -m unittest storage.backends.memory.tests``."""

from __future__ import annotations

import stores


class InMemoryStorageTests(stores.StorageServiceSuite):
    """Evaluations in memory."""

    def make(self) -> stores.StorageService:
        return stores.InMemoryStorage()
