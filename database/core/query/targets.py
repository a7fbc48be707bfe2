"""Which rows an update or a delete is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from database.core.errors import Conflict
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.operations import Delete
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Where
from database.core.query.validation import checked_filter
from database.core.query.validation import checked_id
from database.core.tables.schema import TableSchema
from database.core.tables.values import INTEGER_MAX


def target(schema: TableSchema, operation: Update | Delete) -> Filter:
    """The checked filter that selects the operation's rows.

    :raises InvalidQuery: without an id and a filter, so that no whole table is changed by omission; or for an
        expected version without an id or on a table that has none.
    """
    if operation.id is None:
        where = checked_filter(schema, operation.where)
        if where is None:
            raise InvalidQuery(f"{operation.kind} needs an id or a filter")
        if operation.expected_version is not None:
            raise InvalidQuery("an expected version needs an id")
        return where
    row = one_row(schema, operation)
    if operation.expected_version is None:
        return row
    if type(operation.expected_version) is not int or not 0 <= operation.expected_version <= INTEGER_MAX:
        raise InvalidQuery("an expected version is an integer from 0")
    if not schema.versioned:
        raise InvalidQuery(f"table {schema.name!r} has no column 'version'")
    return And((row, Where("version", "eq", operation.expected_version)))


def one_row(schema: TableSchema, operation: Update | Delete) -> Filter:
    """The checked filter for the row with the operation's id, if it matches the operation's filter, in any version."""
    by_id = Where("id", "eq", checked_id(operation.id))
    where = checked_filter(schema, operation.where)
    return by_id if where is None else And((by_id, where))


def not_same(operation: Upsert) -> PermissionDenied:
    """The error for an upsert of a row that exists and differs in a column in which it must not."""
    message = f"a record of table {operation.table!r} with this id belongs to somebody else"
    return PermissionDenied(message, operation=operation.kind)


def version_conflict(operation: Update | Delete, current: Mapping[str, Any]) -> Conflict:
    """The error for a row that no longer has the expected version."""
    return Conflict(
        f"the record has version {current['version']}, not {operation.expected_version}", operation=operation.kind
    )
