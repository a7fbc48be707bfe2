"""A process with subscriptions. It prints what it needs in lines of JSON; a line of input ends it.

Arguments: how the adapter is configured, in JSON; how many small subscriptions there are, half of each kind, beside one
to all records.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import database
from database import DatabaseAdapter
from database import RecordChange
from database import Row


def megabytes(name: str) -> float:
    """The memory of the process: ``VmRSS`` now, ``VmHWM`` at most until now."""
    (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(f"{name}:"))
    return int(line.split()[1]) / 1e3


def tell(**what: Any) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def state(adapter: DatabaseAdapter) -> dict[str, Any]:
    """What the process needs now."""
    return {
        "megabytes": megabytes("VmRSS"),
        "most_megabytes": megabytes("VmHWM"),
        "threads": threading.active_count(),
        "held": adapter.get_connection_info()["subscriptions"]["bytes"],
    }


def told_of_all(change: RecordChange) -> None:
    tell(told=change.type, of="all", at=time.time())


def told_of_one(change: RecordChange) -> None:
    tell(told=change.type, of="one", at=time.time())


class Results:
    """A callback that tells of all results but the first."""

    def __init__(self) -> None:
        self.first = threading.Event()

    def __call__(self, _: list[Row]) -> None:
        if self.first.is_set():
            tell(told="result", of="one", at=time.time())
        self.first.set()


def main(config: dict[str, Any], small: int) -> None:
    """Subscribe, tell what that needs, and then of each change."""
    # Not imported above, because an application has only the driver that it uses.
    adapter = database.SQLiteAdapter(config) if "path" in config else database.PostgresAdapter(config)
    adapter.table("molecules").limit(1).execute()
    tell(**state(adapter))
    began = time.monotonic()
    kept = [adapter.table("molecules").on_changes(told_of_all)]
    tell(seconds=time.monotonic() - began, **state(adapter))
    results = [Results() for _ in range(small // 2)]
    for number, callback in enumerate(results):
        query = adapter.table("molecules").eq("formula", f"f{number}")
        kept += query.subscribe(callback), query.on_changes(told_of_one)
    for callback in results:
        callback.first.wait()
    tell(seconds=time.monotonic() - began, **state(adapter))
    sys.stdin.readline()
    tell(**state(adapter))
    adapter.disconnect()
    tell(active=sum(one.active for one in kept), threads=threading.active_count())


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
