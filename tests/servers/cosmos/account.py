"""An account of Cosmos DB for the tests, in memory: the query engine of an emulator behind the rules of the service.

The rules are those of items: partition keys, etags, atomic batches, the time to live, sizes, ids and signatures.
"""

from __future__ import annotations

import base64
import json
import urllib.request
from contextlib import suppress
from typing import Any
from typing import Final

from tests.servers.node import FOLDER
from tests.servers.processes.node_server import NodeServer
from tests.servers.processes.server import TIMEOUT

KEY: Final = base64.b64encode(b"only for the throwaway account of a test").decode()

_MAIN: Final = FOLDER / "cosmos" / "main.mjs"


class CosmosAccount(NodeServer):
    """An account without databases.

    :raises ServerUnavailable: Node.js or the npm packages are not installed.
    """

    title = "the account of Cosmos DB"

    def __init__(self) -> None:
        super().__init__(None)

    def url_at(self, port: int) -> str:
        """Its URL through a proxy at ``port``."""
        return f"http://127.0.0.1:{port}"

    def fail(self, match: str, status: int, times: int = 1, retry_after: float = 0.0) -> None:
        """Have the next requests fail, and begin to count requests.

        :param match: a part of their paths.
        :param retry_after: seconds.
        """
        self._steer({"match": match, "status": status, "times": times, "retryAfterMs": int(retry_after * 1000)})

    def requests(self) -> int:
        """How many requests have come since :meth:`fail`."""
        return int(self._steer(None)["requests"])

    def seen(self) -> list[dict[str, str | None]]:
        """The last of them: ``method``, ``path``, ``host``, and the ``fixed`` or ``growing`` throughput asked for."""
        found: list[dict[str, str | None]] = self._steer(None)["seen"]
        return found

    def _steer(self, fault: dict[str, str | int] | None) -> dict[str, Any]:
        body = None if fault is None else json.dumps(fault).encode()
        request = urllib.request.Request(f"{self.url}/_fault", body)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
        return answer

    def _arguments(self) -> list[str]:
        path = self._folder / "settings.json"
        path.write_text(json.dumps({"port": self.port, "key": KEY}))
        return [str(_MAIN), str(path)]

    def _is_ready(self) -> bool:
        with suppress(OSError):
            self.requests()
            return True
        return False
