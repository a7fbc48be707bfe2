"""Processes with the same keys: they begin together, rotate together, and need no restart to see what others do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from auth.keys.pem import new_private_key
from auth.keys.pem import private_pem
from auth.keys.signing import thumbprint

ROOT = Path(__file__).parents[3]
WORKERS = 4
PATIENCE = 60.0


class Worker:
    """A process of :mod:`tests.integration.auth.key_worker`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, *words: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()

    def hear(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def ask(self, *words: str) -> str:
        self.tell(*words)
        return self.hear()


@contextmanager
def started() -> Iterator[Worker]:
    command = [sys.executable, "-m", "tests.integration.auth.key_worker"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "instance"


@pytest.fixture(scope="module")
def workers() -> Iterator[list[Worker]]:
    """Processes that are to open the keys of a test first."""
    with ExitStack() as running:
        found = [running.enter_context(started()) for _ in range(WORKERS)]
        assert {worker.hear() for worker in found} == {"ready"}
        yield found


def ask_all(workers: list[Worker], *words: str) -> list[str]:
    for worker in workers:
        worker.tell(*words)
    return [worker.hear() for worker in workers]


def kids(folder: Path) -> list[str]:
    return [key["kid"] for key in json.loads((folder / "keyring.json").read_bytes())["keys"]]


def test_processes_that_start_together_end_with_the_same_ring(folder: Path, workers: list[Worker]) -> None:
    found = ask_all(workers, "open", str(folder))
    assert len(set(found)) == 1
    assert kids(folder) == found[:1]


def test_processes_that_start_together_take_over_the_key_of_earlier_versions(
    folder: Path, workers: list[Worker]
) -> None:
    folder.mkdir()
    private = new_private_key("ES256")
    (folder / "jwt_es256.pem").write_bytes(private_pem(private, None))
    assert set(ask_all(workers, "open", str(folder))) == {thumbprint(private.public_key())}
    assert not (folder / "jwt_es256.pem").exists()


def test_of_processes_that_rotate_together_one_does(folder: Path, workers: list[Worker]) -> None:
    first = ask_all(workers, "open", str(folder))[0]
    assert sorted(ask_all(workers, "rotate")) == ["refused", "refused", "refused", "rotated"]
    assert len(kids(folder)) == 2
    assert kids(folder)[0] == first


def test_processes_that_replace_the_key_together_lose_none_that_signed(folder: Path, workers: list[Worker]) -> None:
    first = ask_all(workers, "open", str(folder))[0]
    assert ask_all(workers, "now") == ["rotated"] * WORKERS
    assert len(set(kids(folder))) == WORKERS + 1
    assert kids(folder)[0] == first
    tokens = ask_all(workers, "sign")
    assert {answer for token in tokens for answer in ask_all(workers, "verify", token)} == {"accepted"}


def test_a_new_key_is_known_at_once_and_a_stolen_one_refused_soon(folder: Path, workers: list[Worker]) -> None:
    ask_all(workers, "open", str(folder))
    stolen = workers[0].ask("sign")
    assert set(ask_all(workers, "verify", stolen)) == {"accepted"}
    assert workers[0].ask("revoke") == "rotated"
    new = workers[0].ask("sign")
    assert set(ask_all(workers, "verify", new)) == {"accepted"}
    until = monotonic() + PATIENCE
    while set(ask_all(workers, "verify", stolen)) != {"refused"}:
        assert monotonic() < until, "a dropped key is still accepted"
    assert set(ask_all(workers, "verify", new)) == {"accepted"}
