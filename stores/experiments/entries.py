"""Records in their tables in a database of the application: each is an entry, and its fields are columns, too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import ClassVar
from typing import Final

from database.adapter.interface import Database
from database.core.query.filters import Order
from database.core.result import Row
from storage.backends.keyed_table import KeyedTableEntries
from storage.core.documents import from_json
from storage.core.entry import Stored
from stores.experiments.kinds import RecordTable

_HEAD: Final = ("etag", "headers", "metadata", "size", "stored_at", "expires_at")


class RecordEntries(KeyedTableEntries):
    """The table of one kind of records.

    :param database: the application's connection manager, or one adapter.
    """

    kind: ClassVar[str] = "records"

    def __init__(self, database: Database, kind: RecordTable) -> None:
        super().__init__(database)
        self._record = kind
        self.table, self.beginning, self._id_column = kind.table, kind.beginning, kind.id_column
        self._head = (kind.id_column, *_HEAD)
        self._columns = (*self._head, "record")
        self._order = (Order(kind.id_column),)
        self._found_by = (kind.id_column,)

    def describe(self) -> Mapping[str, Any]:
        return {"table": self.table}

    def _row(self, entry: Stored) -> Row:
        general = super()._row(entry)
        row = {name: general[name] for name in _HEAD}
        return {self._id_column: general["id"], **row, "record": general["body"], **self._record.row(_record(entry))}

    def _stored(self, row: Row) -> Stored:
        key = self.beginning + row[self._id_column]
        return super()._stored({**row, "key": key, "body": row.get("record", "")})


def _record(entry: Stored) -> Mapping[str, Any]:
    """The record in an entry; an empty one if a layer has made something else of it, such as an encrypted body."""
    record = {} if entry.headers else from_json(entry.body)
    return record if isinstance(record, Mapping) else {}
