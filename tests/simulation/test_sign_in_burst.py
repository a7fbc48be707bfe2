"""Everybody signs in at once: what the served application makes of it, in answers and in memory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Barrier
from threading import Event
from threading import Thread
from typing import Final

import httpx

from tests.simulation.served import ServedApp

SIGN_INS: Final = 200
PATIENCE: Final = 60.0  # seconds
MOST_MEMORY: Final = 550  # MB, of all processes together; one more hash in each would take 570
ACCOUNT: Final = {"email": "ada@example.com", "password": "correct horse"}


def memory(pid: int) -> float:
    """What a process and its children take, in MB; a page that several share counts once."""
    process = Path("/proc", str(pid))
    children = (process / "task" / str(pid) / "children").read_text().split()
    share = re.search(r"^Pss:\s+(\d+) kB", (process / "smaps_rollup").read_text(), re.M)
    assert share is not None
    return int(share[1]) / 1000 + sum(memory(int(child)) for child in children)


@contextmanager
def watched_memory(pid: int) -> Iterator[list[float]]:
    """What the process and its children take at any moment, as a list that grows."""
    seen: list[float] = []
    stopped = Event()

    def watch() -> None:
        while not stopped.wait(0.01):
            seen.append(memory(pid))

    watcher = Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        stopped.set()
        watcher.join()


def test_a_burst_of_sign_ins_takes_little_memory_and_is_answered(tmp_path: Path) -> None:
    """With another sign-in already under way in each, a process says "later" instead of hashing more passwords."""
    together = Barrier(SIGN_INS)
    settings = {"WORKERS": "3", "LOCAL_DB_PATH": str(tmp_path / "isthmus.db"), "REQUEST_TIMEOUT": "30"}

    def sign_in(_: int) -> httpx.Response:
        with httpx.Client(timeout=PATIENCE) as client:
            together.wait(PATIENCE)
            return client.post(f"{app.url}/auth/login", json=ACCOUNT)

    with ServedApp(tmp_path, **settings) as app:
        assert httpx.post(f"{app.url}/auth/register", json=ACCOUNT, timeout=PATIENCE).status_code == 201
        with watched_memory(app.pid) as seen, ThreadPoolExecutor(SIGN_INS) as clients:
            answers = list(clients.map(sign_in, range(SIGN_INS)))
        statuses = Counter(answer.status_code for answer in answers)
        again = httpx.post(f"{app.url}/auth/login", json=ACCOUNT, timeout=PATIENCE)
    assert statuses.keys() <= {200, 429}
    assert statuses[200] > 0
    assert all(answer.headers["Retry-After"] == "1" for answer in answers if answer.status_code == 429)
    assert again.status_code == 200
    assert max(seen) <= MOST_MEMORY
