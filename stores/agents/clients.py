"""The client in tables: of the application's database, and of one that need not be the application's."""

from __future__ import annotations

from database.adapter.base import DatabaseAdapter
from database.adapter.interface import Database
from database.core.errors import DataError
from database.schema.creating import create_tables
from storage.core.errors import as_storage_error
from stores.agents.client import RecordsClient
from stores.agents.records.in_tables import TableRecords
from stores.agents.tables import require_declared


class DatabaseClient(RecordsClient):
    """The tables of a database of the application, or of any adapter that has them.

    A call belongs to the unit of work of its request: it is committed and rolled back with everything else.

    :param database: the application's connection manager, or one adapter.
    :raises ConfigurationError: if the tables are not declared; says what to call.
    """

    def __init__(self, database: Database) -> None:
        require_declared(database)
        super().__init__(TableRecords(database))


class OwnTablesClient(RecordsClient):
    """Tables in a database of their own. Those that are missing are created now.

    :param adapter: of the database, which is closed with the client.
    :raises StorageError: if the database cannot be reached, or the tables cannot be created.
    """

    def __init__(self, adapter: DatabaseAdapter) -> None:
        self.adapter = adapter
        super().__init__(TableRecords(adapter, joins=False))
        try:
            create_tables(adapter, adapter.schema.metadata.sorted_tables)
        except DataError as error:
            adapter.disconnect()
            raise as_storage_error(error) from error

    def close(self) -> None:
        self.adapter.disconnect()
