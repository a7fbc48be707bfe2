from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.processes import process
from tests.servers.processes.process import Account
from tests.servers.processes.process import ServerFailed

SPAWN_AND_DIE = """
import os, signal
from pathlib import Path
from tests.servers.processes.process import Account
Account.unprivileged().spawn(["sleep", "60"], Path("/dev/stderr"))
os.kill(os.getpid(), signal.SIGKILL)
"""
FAMILY = ["sh", "-c", "sleep 60 & setsid sh -c 'sleep 60; :' & echo started; wait"]


@pytest.fixture
def family() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process with descendants, and the read end of a pipe that they all hold open."""
    reading, writing = os.pipe()
    parent = Account.unprivileged().spawn(FAMILY, Path(f"/dev/fd/{writing}"))
    os.close(writing)
    assert os.read(reading, 100) == b"started\n"
    yield parent, reading
    process.kill(parent)
    os.close(reading)


def test_a_tool_returns_its_output() -> None:
    assert Account.unprivileged().run(["echo", "word"]) == "word\n"


def test_a_tool_that_fails_says_why() -> None:
    with pytest.raises(ServerFailed, match="ended with 3: reason"):
        Account.unprivileged().run(["sh", "-c", "echo reason >&2; exit 3"])


def test_a_tool_that_does_not_exist_is_named() -> None:
    with pytest.raises(ServerFailed, match="no-such-tool"):
        Account.unprivileged().run(["no-such-tool"])


def test_servers_never_run_as_root() -> None:
    assert Account.unprivileged().run(["id", "-u"]).strip() != "0"


def test_servers_see_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGDATA", "/elsewhere")
    assert "PGDATA" not in Account.unprivileged().run(["env"])


def test_kill_reaches_descendants_in_other_sessions(family: tuple[subprocess.Popen[bytes], int]) -> None:
    parent, reading = family
    process.kill(parent)
    assert parent.returncode == -signal.SIGKILL
    assert _closed_by_all(reading)


def test_kill_of_a_dead_process_does_nothing(family: tuple[subprocess.Popen[bytes], int]) -> None:
    parent, _ = family
    process.kill(parent)
    process.kill(parent)
    process.stop(parent, signal.SIGINT)
    assert parent.returncode == -signal.SIGKILL


def test_a_server_does_not_outlive_tests_that_are_killed(pytestconfig: pytest.Config) -> None:
    # The call returns when nobody holds the error pipe any more, which the orphan does.
    tests = subprocess.run(
        [sys.executable, "-c", SPAWN_AND_DIE], cwd=pytestconfig.rootpath, capture_output=True, timeout=30, check=False
    )
    assert tests.returncode == -signal.SIGKILL, tests.stderr


def _closed_by_all(reading: int) -> bool:
    ready, _, _ = select.select([reading], [], [], 10)
    return bool(ready) and os.read(reading, 1) == b""
