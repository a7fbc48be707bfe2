"""Stores: the memory of a server through which a body of 1 GiB streams, beside a quarter of it; on Linux."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.contenders.streamed import SERVER
from benchmarks.load import connect
from benchmarks.load import serving
from benchmarks.plan import Plan
from benchmarks.summary import Line
from benchmarks.table import Table
from benchmarks.table import megabytes
from tests.servers.s3 import S3Server

_SIZES: Final = {"up to a body of 256 MiB": 256, "up to a body of 1 GiB": 1_024}
"""In MiB."""

_BASELINE, _CASE = _SIZES
_TITLE: Final = "Stores in S3: peak memory of a server while a body is put and got over HTTP"
_PATH: Final = "/api/storage/parts/body"
_MEBIBYTE: Final = 1 << 20
_PIECE: Final = 1 << 16

LINES = (Line("1 GiB over HTTP into S3 and back, peak memory", _TITLE, _CASE, "256 MiB", 1.1),)


def tables(plan: Plan) -> Iterator[Table]:
    """Measure once, because it does not depend on what else the machine does."""
    gunicorn = ("-m", "gunicorn", "--threads", "2", "--bind", "127.0.0.1:{port}", "--timeout", "0")
    with TemporaryDirectory(prefix="isthmus-bench-") as folder, S3Server() as server:
        files = {"LOCAL_DB_PATH": str(Path(folder, "isthmus.db")), "INSTANCE_PATH": folder}
        settings = {SERVER: server.url, "STORAGE_MAX_BODY_BYTES": str(2 << 30), "DB_ADAPTER_ORDER": "local", **files}
        with serving((*gunicorn, "benchmarks.contenders.streamed:application()"), settings, "/peak") as port:
            samples = {name: [_put_and_get(port, plan.of(size))] * plan.rounds for name, size in _SIZES.items()}
    yield Table(_TITLE, _BASELINE, samples, megabytes, "gunicorn; the server of S3 is another process")


def _put_and_get(port: int, mebibytes: int) -> float:
    """The most memory that the server has had, in bytes."""
    with connect(port) as connection:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(mebibytes << 20)}
        connection.request("PUT", _PATH, _pieces(mebibytes), headers)
        with connection.getresponse() as stored:
            assert stored.status in {200, 201}, stored.read()
            stored.read()
        connection.request("GET", _PATH)
        with connection.getresponse() as found:
            read = sum(map(len, iter(lambda: found.read(_PIECE), b"")))
        assert read == mebibytes << 20, read
        connection.request("GET", "/peak")
        with connection.getresponse() as told:
            return float(json.load(told)["bytes"])


def _pieces(mebibytes: int) -> Iterator[bytes]:
    for number in range(mebibytes):
        yield number.to_bytes(8, "big") * (_MEBIBYTE // 8)
