"""Connections that a parent opened are not used by the workers it forks."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.integration.manager import preloaded
from tests.integration.transactions.ledger import Ledger
from tests.integration.transactions.ledger import postgresql_ledger
from tests.integration.transactions.ledger import sqlite_ledger
from tests.servers.postgres import PostgresDatabase

ROOT = Path(__file__).parents[3]
PATIENCE = 120  # seconds; only a deadlock needs them


def test_workers_and_their_parent_share_an_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "shared.db"
    ledger = sqlite_ledger(path)
    serve("sqlite", {"path": str(path), "synchronous": "normal"}, ledger)
    assert ledger.outside("pragma integrity_check") == [("ok",)]


def test_workers_and_their_parent_share_a_postgresql_server(postgres_database: PostgresDatabase) -> None:
    ledger = postgresql_ledger(postgres_database)
    serve("postgresql", asdict(postgres_database), ledger)


def serve(kind: str, config: dict[str, object], ledger: Ledger) -> None:
    """Have a parent and its children write at the same time, and find everything in the database."""
    command = [sys.executable, "-m", preloaded.__name__, kind, json.dumps(config)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ledger.notes() == preloaded.expected_notes()
