"""The frameworks that documents 000 and 004 come from, as they are on PyPI, use our storage."""

from __future__ import annotations

import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.peers.conftest import ROOT
from tests.peers.conftest import interpreter
from tests.servers.network.ports import free_port
from tests.servers.postgres import PostgresDatabase
from tests.servers.redis import PASSWORD
from tests.servers.redis import RedisServer


def run(name: str, module: str, folder: Path, **variables: object) -> str:
    """What a module prints in the environment of a framework."""
    # What we need ourselves is not installed again.
    ours = os.pathsep.join([str(ROOT), sysconfig.get_path("purelib")])
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": ours}
    done = subprocess.run(
        [interpreter(name), "-m", module],
        cwd=folder,
        env={**environment, **{name: str(value) for name, value in variables.items()}},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.peer("praval")
def test_agents_of_praval_have_storage(
    tmp_path: Path, postgres_database: PostgresDatabase, redis_server: RedisServer
) -> None:
    postgresql = {
        f"POSTGRES_{name.upper()}": getattr(postgres_database, name) for name in ("host", "port", "user", "password")
    }
    printed = run(
        "praval",
        "tests.peers.agents",
        tmp_path,
        **postgresql,
        POSTGRES_DB=postgres_database.database,
        REDIS_HOST="127.0.0.1",
        REDIS_PORT=redis_server.port,
        REDIS_PASSWORD=PASSWORD,
        NOBODY_LISTENS=free_port(),
    )
    assert "agents have storage, and fail fast without it" in printed


@pytest.mark.peer("convergence")
def test_the_protocol_of_convergence_accepts_our_storage(tmp_path: Path) -> None:
    printed = run("convergence", "tests.peers.protocol", tmp_path)
    assert (
        "accepts SQLiteStorage, FileStorage, MemoryStorage, MultiBackendStorage, ConvexStorage, ExperimentStorage"
        in printed
    )
