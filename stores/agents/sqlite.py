"""The client in a file of SQLite."""

from __future__ import annotations

from pathlib import Path

from database.backends.sqlite.adapter import SQLiteAdapter
from stores.agents.clients import OwnTablesClient
from stores.agents.tables import own_schema


class SQLiteClient(OwnTablesClient):
    """The four tables in a file, which is created with them if it is missing.

    :param path: of the file.
    :raises StorageError: if the file cannot be opened, or the tables cannot be created.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(SQLiteAdapter({"path": str(path)}, own_schema()))
