"""A server for the tests that speaks the protocol of S3, with its conditional writes; all is kept in memory."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

import boto3

from tests.servers.processes.server import ProcessServer

_MAIN: Final = Path(__file__).with_name("s3_main.py")

BUCKET: Final = "isthmus-tests"
ACCESS: Final[dict[str, Any]] = {"access_key": "of-a-test", "secret_key": "only-for-the-tests", "region": "us-east-1"}


class S3Server(ProcessServer):
    """A server with an empty bucket."""

    title = "the server of S3"

    @property
    def url(self) -> str:
        """Its URL."""
        return self.url_at(self.port)

    def url_at(self, port: int) -> str:
        """Its URL through a proxy at ``port``."""
        return f"http://127.0.0.1:{port}"

    def start(self) -> None:
        super().start()
        self.client().create_bucket(Bucket=BUCKET)

    def client(self) -> Any:
        """A client of the tests' own."""
        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=ACCESS["region"],
            aws_access_key_id=ACCESS["access_key"],
            aws_secret_access_key=ACCESS["secret_key"],
        )

    def _command(self) -> Sequence[str]:
        return [sys.executable, str(_MAIN), str(self.port)]

    def _is_ready(self) -> bool:
        with suppress(URLError, ConnectionError, TimeoutError), urlopen(f"{self.url}/", timeout=1):  # noqa: S310
            return True
        return False
