"""An application with evaluations: its tables, stores and migration."""

from typing import Final

PACKAGE: Final = "tests.integration.http.evaluated.config"
