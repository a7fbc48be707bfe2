"""Entries in a table of their own, as people like to query it: the value is JSON in one column, the metadata in
another.

::

    key         text, the primary key
    data        JSON (jsonb on PostgreSQL): the value; text in base64 for bytes, and for what jsonb cannot hold
    metadata    JSON
    created_at  when the key was first stored; updated_at is the last time
    etag, version, size, headers, stored_at, expires_at
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from contextlib import suppress
from contextvars import ContextVar
from typing import Any
from typing import ClassVar
from typing import Final

import orjson
import sqlalchemy as sa

from database.adapter.base import DatabaseAdapter
from database.adapter.transactions import Transaction
from database.columns import json
from database.columns import record_columns
from database.columns import table_metadata
from database.columns import text
from database.columns import timestamp
from database.core.context import Context
from database.core.context import current_context
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import SchemaMismatch
from database.core.kinds.binary import base64_text
from database.core.kinds.json_texts import compact
from database.core.kinds.values import JSON
from database.core.operations import Delete
from database.core.operations import Operation
from database.core.query.filters import Filter
from database.core.query.filters import Order
from database.core.result import Result
from database.core.result import Row
from database.core.tables.schema import Schema
from database.schema.creating import create_tables
from storage.backends.keyed_table import KeyedTableEntries
from storage.core.capabilities import StoreCapabilities
from storage.core.entry import JSON_TYPE
from storage.core.entry import MEDIA_TYPE
from storage.core.entry import Stored
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageKeyError
from storage.core.errors import shown
from storage.core.keys import with_nul

_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,62}")
_HEAD: Final = ("key", "etag", "headers", "metadata", "size", "stored_at", "expires_at")
_MINUS_ZERO: Final = re.compile(rb"-0\.0(?!\d)")
_BASE64: Final = "base64"
"""The header of a JSON value that the column cannot hold, and which is text in it: it has NUL in it, or is too deep."""


_transaction: ContextVar[Transaction | None] = ContextVar("transaction of documents", default=None)


class DocumentEntries(KeyedTableEntries):
    """A table in a database that need not be that of the application. It is created when it is first used.

    :param adapter_class: of the database.
    :param config: of the adapter.
    :param table: the name of the table.
    :param longest_key: the longest key in bytes, if the index of the database has such a limit.
    :raises StorageConfigurationError: if the table cannot have that name.
    """

    kind: ClassVar[str] = "documents"
    capabilities = StoreCapabilities(batches=True)
    _id_column: str = "key"
    _head: tuple[str, ...] = _HEAD
    _columns: tuple[str, ...] = (*_HEAD, "data")
    _order: tuple[Order, ...] = (Order("key"),)

    def __init__(
        self,
        adapter_class: type[DatabaseAdapter],
        config: Mapping[str, Any],
        table: str,
        longest_key: int | None = None,
    ) -> None:
        if not _NAME.fullmatch(table):
            raise StorageConfigurationError(
                f"a table must have a name of small letters, digits and underscores, not {shown(table)}"
            )
        self.table = table
        self._declared = _declared(table)
        self._adapter = adapter_class(config, Schema.of(self._declared))
        self._longest_key = longest_key
        super().__init__(self._adapter)

    def execute(self, operation: Operation, context: Context) -> Result:
        try:
            return super().execute(operation, context)
        except SchemaMismatch:
            # What has that name and is no table is refused below.
            with suppress(ConstraintViolated, InvalidQuery):
                create_tables(self._adapter, self._declared.sorted_tables)
        try:
            return super().execute(operation, context)
        except SchemaMismatch as error:
            raise StorageConfigurationError(
                f"the table {self.table} has other columns than those of a store; choose another name for the table"
            ) from error

    def close(self) -> None:
        self._adapter.disconnect()

    def describe(self) -> Mapping[str, Any]:
        return {"table": self.table, **self._adapter.describe()}

    def _run(self, operation: Operation) -> Result:
        # Not in a request's unit of work, which is that of the application's database.
        inside = _transaction.get()
        return (
            self._adapter.run_alone(operation) if inside is None else inside.execute(operation, current_context.get())
        )

    @contextmanager
    def _together(self) -> Iterator[None]:
        begun = self._adapter.begin_transaction()
        token = _transaction.set(begun)
        try:
            yield
            begun.commit()
        except BaseException:
            begun.rollback()
            raise
        finally:
            _transaction.reset(token)

    def _delete(self, where: Filter) -> int:
        return self._run(Delete(self.table, where=where)).count or 0

    def _id(self, key: str) -> str:
        id_ = super()._id(key)
        if self._longest_key is not None and len(id_.encode()) > self._longest_key:
            raise StorageKeyError(f"a key in this store must have at most {self._longest_key:,} bytes")
        return id_

    def _row(self, entry: Stored) -> Row:
        headers = dict(entry.headers)
        if (data := _data(entry)) is None:
            headers[_BASE64], data = "", base64_text(entry.body)
        return {
            "key": self._id(entry.key),
            "data": data,
            "metadata": entry.metadata,
            "etag": entry.etag,
            "size": entry.size,
            "headers": headers,
            "stored_at": entry.stored_at,
            "expires_at": entry.expires_at,
        }

    def _stored(self, row: Row) -> Stored:
        key, headers = with_nul(row["key"]), dict(row["headers"])
        try:
            body = _body(row["data"], headers) if "data" in row else b""
        except (binascii.Error, ValueError, TypeError):
            return Stored.damaged(key, f"its row in {self.table} is damaged", row["stored_at"])
        headers.pop(_BASE64, None)
        return Stored(
            key, row["etag"], body, row["size"], headers, row["metadata"], row["stored_at"], row["expires_at"]
        )


def _data(entry: Stored) -> Any:
    """The value for its column; None if that cannot hold it."""
    if entry.headers.get(MEDIA_TYPE, JSON_TYPE) != JSON_TYPE or _MINUS_ZERO.search(entry.body):
        return None
    try:
        # None is JSON's null, too, which the column would take for NULL.
        return JSON.check(orjson.loads(entry.body))
    except ValueError:
        return None


def _body(data: Any, headers: Mapping[str, str]) -> bytes:
    return base64.b64decode(data, validate=True) if _BASE64 in headers else compact(orjson.dumps(data))


def _declared(name: str) -> sa.MetaData:
    metadata = table_metadata()
    sa.Table(
        name,
        metadata,
        sa.Column("key", text(), primary_key=True),
        sa.Column("data", json(), nullable=False),
        sa.Column("metadata", json(), nullable=False),
        *(column for column in record_columns() if column.name != "id"),
        sa.Column("etag", text(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("headers", json(), nullable=False),
        sa.Column("stored_at", timestamp(), nullable=False),
        sa.Column("expires_at", timestamp(), index=True),
    )
    return metadata
