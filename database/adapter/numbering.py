"""Numbered tables whose numbers another database makes, because two-way sync keeps both equal."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from database.core.context import Context
from database.core.errors import InvalidRow
from database.core.operations import Batch
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Upsert
from database.core.result import Result
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.resilience.stages import Handler


def numbered_elsewhere(handler: Handler, schema: Schema, makers: Mapping[str, str]) -> Handler:
    """A handler that refuses new records for which a number would have to be made here.

    :param makers: the name of the database that makes the numbers, by table.
    """
    if not makers:
        return handler

    def call(operation: Operation, context: Context) -> Result:
        _check(operation, schema, makers)
        return handler(operation, context)

    return call


def _check(operation: Operation, schema: Schema, makers: Mapping[str, str]) -> None:
    if isinstance(operation, Batch):
        for part in operation.operations:
            _check(part, schema, makers)
    elif isinstance(operation, Insert | Upsert) and not operation.verbatim:
        maker = makers.get(operation.table)
        if maker is not None:
            _require_keys(operation.rows, schema.table(operation.table), maker)


def _require_keys(rows: Sequence[Any], table: TableSchema, maker: str) -> None:
    name = table.key[0]
    for index, row in enumerate(rows):
        if isinstance(row, Mapping) and (name not in row or table.always_numbered):
            remedy = "create the record there" if table.always_numbered else "create the record there, or give its key"
            raise InvalidRow(
                f"column {name!r} of table {table.name!r} is numbered by {maker} (sync_numbers): {remedy}",
                row=index,
                column=name,
            )
