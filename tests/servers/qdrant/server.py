"""A server for the tests that speaks Qdrant's HTTP interface; the engine is the local mode of Qdrant's own client."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from socket import create_connection
from typing import Final

from tests.servers.processes.server import ProcessServer

KEY: Final = "only-for-the-throwaway-qdrant-of-a-test"

_MAIN: Final = Path(__file__).with_name("main.py")


class QdrantServer(ProcessServer):
    """A server without collections."""

    title = "the server of Qdrant"

    @property
    def url(self) -> str:
        """Its URL."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """Its URL through a proxy at ``port``."""
        return f"http://127.0.0.1:{port}"

    def _command(self) -> Sequence[str]:
        return [sys.executable, str(_MAIN), str(self.port), KEY]

    def _is_ready(self) -> bool:
        with suppress(OSError), create_connection(("127.0.0.1", self.port), timeout=1):
            return True
        return False
