"""What other processes do to the file: ``python -m tests.integration.sqlite.writers <task> <path> ...``."""

from __future__ import annotations

import sys
from itertools import count

from database.backends.sqlite import SQLiteAdapter
from database.core.operations import Insert
from database.core.operations import Update
from tests.contract.tables import SCHEMA
from tests.contract.tables import thing


def hold(adapter: SQLiteAdapter) -> None:
    """Keep the write lock until a line comes in, then commit."""
    with adapter.transaction():
        adapter.run(Insert("things", [thing("held")]))
        _say("holding")
        sys.stdin.readline()
    _say("committed")


def write_on(adapter: SQLiteAdapter) -> None:
    """Insert rows for ever and tell each one once it is committed; every third is part of a transaction."""
    for number in count():
        name = f"{number:06}"
        if number % 3:
            adapter.run(Insert("things", [thing(name)]))
        else:
            with adapter.transaction():
                adapter.run(Insert("things", [thing(name)]))
                adapter.run(Insert("parts", [{"thing_id": name}]))
        _say(name)


def count_up(adapter: SQLiteAdapter, rounds: str) -> None:
    """Read a number, add one, write it back, in a transaction each."""
    _say("ready")
    sys.stdin.readline()
    for _ in range(int(rounds)):
        with adapter.transaction():
            rank = (adapter.get("things", "counter") or {})["rank"]
            adapter.run(Update("things", {"rank": rank + 1}, id="counter"))
    _say("done")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    task, path, *arguments = sys.argv[1:]
    globals()[task](SQLiteAdapter({"path": path}, SCHEMA), *arguments)
