"""An application that has all record stores and no tables besides, whatever else the project is made into."""

from __future__ import annotations

from typing import Final

PACKAGE: Final = "tests.stores.synced.laboratory.config"
