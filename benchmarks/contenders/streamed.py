"""An application whose bodies stream through a store in S3, and which tells how much memory it has needed.

``STREAMED_S3`` is the URL of the server of S3.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from flask import Flask

from app import create_app
from storage import S3Entries
from storage import StoreDeclaration
from tests.laboratory.config import stores
from tests.servers.s3 import ACCESS
from tests.servers.s3 import BUCKET

SERVER: Final = "STREAMED_S3"


def application() -> Flask:
    """An application whose store ``parts`` everybody may use."""
    stores.STORES = {"parts": StoreDeclaration(access="anyone", backend=_in_s3)}
    app = create_app()
    app.add_url_rule("/peak", view_func=lambda: {"bytes": _peak()})
    return app


def _in_s3(*_: object) -> S3Entries:
    return S3Entries(BUCKET, "streamed", endpoint=os.environ[SERVER], timeout=60, **ACCESS)


def _peak() -> int:
    """The most memory that this process has had, in bytes; of Linux."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) << 10
