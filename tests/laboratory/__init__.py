"""The application that the framework's tests are run with: tables, migrations and Convex functions of their own.

So they do not depend on the application that the project is, which is its user's to change.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PACKAGE: Final = "tests.laboratory.config"
ENVIRONMENT: Final = {"APPLICATION_PACKAGE": PACKAGE}
"""For the processes of tests; that of the tests themselves has it, too."""

FUNCTIONS: Final = Path(__file__).parent / "functions"
"""The Convex functions about its tables."""
