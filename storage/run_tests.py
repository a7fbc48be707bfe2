"""The common tests of places for evaluations, on those that need no server: ``python storage/run_tests.py``.

``python -m unittest storage.backends.file.tests`` runs those of one place.
"""

from __future__ import annotations

import sys
import unittest
from pathlib import Path

if __name__ == "__main__":
    # As a file, it is started in its own folder, whose modules are those of a package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from storage.backends.database.tests import DatabaseStorageTests
from storage.backends.file.tests import FileStorageTests
from storage.backends.memory.tests import InMemoryStorageTests

__all__ = ["DatabaseStorageTests", "FileStorageTests", "InMemoryStorageTests"]

if __name__ == "__main__":
    unittest.main()
