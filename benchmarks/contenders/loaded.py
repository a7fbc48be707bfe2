"""A process that loads a table of a SQLite file into an empty PostgreSQL database by two-way sync, and ends.

``python -m benchmarks.contenders.loaded FILE DATABASE``, the latter as the JSON of what its adapter takes.
"""

from __future__ import annotations

import json
import sys

from benchmarks.contenders import one_way
from database import PostgresAdapter
from database import SQLiteAdapter
from database import SyncManager


def main(file: str, database: str) -> None:
    """Load the table. :raises SystemExit: if a record is missing."""
    there = json.loads(database)
    # The name of the pair, by which the file knows how far it was synced, must be a new one.
    source, target = SQLiteAdapter({"path": file}, name="file"), PostgresAdapter(there, name=there["database"])
    if not SyncManager(source, target, sync_tables=[one_way.TABLE]).sync_all():
        raise SystemExit("the sync is not complete")


if __name__ == "__main__":
    main(*sys.argv[1:])
