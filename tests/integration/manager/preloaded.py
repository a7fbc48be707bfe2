"""A server that opens its database and then forks its workers, as gunicorn does with ``--preload``.

``python -m tests.integration.manager.preloaded KIND CONFIG``: the configuration is that of the adapter, as JSON.
"""

from __future__ import annotations

import json
import os
import sys
from threading import Thread

from config.settings import load_settings
from database.adapter.base import DatabaseAdapter
from database.backends.postgres import PostgresAdapter
from database.backends.sqlite import SQLiteAdapter
from database.connection_manager import ConnectionManager
from tests.integration.transactions.ledger import ACCOUNT
from tests.integration.transactions.ledger import SCHEMA

CHILDREN = 3
ROUNDS = 15
THREADS = 2

ADAPTERS: dict[str, type[DatabaseAdapter]] = {"sqlite": SQLiteAdapter, "postgresql": PostgresAdapter}


def expected_notes() -> list[str]:
    """What the database must hold in the end, sorted."""
    workers = ["before", *(f"child {number}" for number in range(CHILDREN)), "parent"]
    rounds = [f"{worker} {thread} {turn}" for worker in workers for thread in range(THREADS) for turn in range(ROUNDS)]
    return sorted(f"{name} {part}" for name in rounds for part in ("alone", "first", "second"))


def work(manager: ConnectionManager, worker: str) -> None:
    """Write from several threads, alone and in transactions, and read in between."""
    threads = [Thread(target=_work, args=(manager, f"{worker} {thread}")) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _work(manager: ConnectionManager, name: str) -> None:
    for turn in range(ROUNDS):
        insert(manager, f"{name} {turn} alone")
        with manager.transaction():
            insert(manager, f"{name} {turn} first")
            insert(manager, f"{name} {turn} second")
        assert manager.get("accounts", ACCOUNT) is not None


def insert(manager: ConnectionManager, note: str) -> None:
    manager.table("entries").insert({"account_id": ACCOUNT, "note": note}).execute()


def main(kind: str, config: str) -> int:
    """The parent's exit status: how many children failed."""
    adapter = ADAPTERS[kind](json.loads(config), SCHEMA)
    manager = ConnectionManager(load_settings(None, ENVIRONMENT="testing"), {"main": adapter})
    work(manager, "before")
    children = []
    for number in range(CHILDREN):
        pid = os.fork()
        if pid == 0:
            work(manager, f"child {number}")
            # Through the interpreter's whole shutdown, as a worker that ends orderly.
            sys.exit(0)
        children.append(pid)
    work(manager, "parent")
    failed = sum(os.waitpid(pid, 0)[1] != 0 for pid in children)
    assert manager.get("accounts", ACCOUNT) is not None
    manager.disconnect()
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
