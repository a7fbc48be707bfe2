"""Processes of gunicorn that put at the same time: one of them is killed, and what was acknowledged is there.

``STORAGE_KILLS`` is how often.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPException
from itertools import count
from pathlib import Path
from threading import Event
from typing import Final

import psutil  # type: ignore[import-untyped]  # has no types

from tests.integration.http.server.test_server import call
from tests.integration.http.server.test_server import serving
from tests.integration.http.support import PASSWORD
from tests.integration.http.support import wait_until
from tests.integration.migrated import migrated_sqlite

KILLS: Final = int(os.environ.get("STORAGE_KILLS", "1"))
BETWEEN: Final = 10
"""So many puts of each writer are acknowledged before each kill, and after the last one."""
GUNICORN: Final = ("-m", "gunicorn", "--workers", "2", "--threads", "2", "--bind", "127.0.0.1:0", "app:create_app()")


class Writer:
    """Puts one number after another into a store, each as a long value under a key of its own.

    :ivar acknowledged: the numbers whose puts were; of the others, the answers were lost.
    """

    def __init__(self, port: int, store: str, headers: dict[str, str]) -> None:
        self.acknowledged: list[int] = []
        self._path = f"/api/storage/{store}"
        self._port = port
        self._headers = headers

    def write(self, ended: Event) -> None:
        for number in count():
            if ended.is_set():
                return
            try:
                status, _ = self._call("PUT", number, value(number))
            except (OSError, HTTPException):
                continue
            assert status == 201
            self.acknowledged.append(number)

    def check(self) -> None:
        for number in range(self.acknowledged[-1] + 1):
            status, found = self._call("GET", number)
            lost = status == 404 and number not in self.acknowledged
            assert lost or (status, found) == (200, value(number)), (self._path, number)

    def _call(self, method: str, number: int, body: object = None) -> tuple[int, object]:
        return call(self._port, method, f"{self._path}/{number}", body, self._headers)


def value(number: int) -> list[int]:
    return [number] * 3_000


@contextmanager
def writing(writers: list[Writer]) -> Iterator[None]:
    ended = Event()
    with ThreadPoolExecutor(len(writers)) as threads:
        running = [threads.submit(writer.write, ended) for writer in writers]
        try:
            yield
        finally:
            ended.set()
        for one in running:
            one.result()


def test_a_killed_worker_takes_nothing_that_was_acknowledged_with_it(tmp_path: Path) -> None:
    migrated_sqlite(tmp_path / "isthmus.db")
    with serving(tmp_path, command=GUNICORN) as (process, port):
        headers = signed_in(port)
        writers = [Writer(port, store, headers) for store in ("default", "files")]
        with writing(writers):
            for _ in range(KILLS):
                more_of(writers)
                psutil.Process(process.pid).children()[0].kill()
            more_of(writers)
        for writer in writers:
            writer.check()


def signed_in(port: int) -> dict[str, str]:
    account = {"email": "writer@example.org", "password": PASSWORD}
    assert call(port, "POST", "/auth/register", account)[0] == 201
    _, answer = call(port, "POST", "/auth/login", account)
    return {"Authorization": f"Bearer {answer['access_token']}"}


def more_of(writers: list[Writer]) -> None:
    wanted = [len(writer.acknowledged) + BETWEEN for writer in writers]
    wait_until(
        lambda: all(len(writer.acknowledged) >= number for writer, number in zip(writers, wanted, strict=True)),
        "not enough is acknowledged",
    )
