"""The filter that selects the rows of an update or a delete."""

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
from database.core.query.fitting import fitted
from database.core.query.validation import checked_filter
from database.core.query.validation import checked_id
from database.core.tables.ranges import Ranged
from database.core.tables.schema import TableSchema
from database.core.tables.values import INTEGER_MAX


def target(schema: TableSchema, operation: Update | Delete) -> Filter:
    """Return the checked filter that selects the operation's rows.

    :raises InvalidQuery: if the operation has neither id nor filter, so that no whole table is changed by omission; or
        if it has an expected version but no id, or its table has no versions.
    """
    if operation.id is None:
        where = checked_filter(schema, operation.where)
        if where is None:
            raise InvalidQuery(f"{operation.kind} needs an id or a filter")
        if operation.expected_version is not None:
            raise InvalidQuery("expected_version can only be given together with an id")
        return where
    row = one_row(schema, operation)
    if operation.expected_version is None:
        return row
    if type(operation.expected_version) is not int or not 0 <= operation.expected_version <= INTEGER_MAX:
        raise InvalidQuery("expected_version must be an integer of 0 or more")
    if not schema.versioned:
        raise InvalidQuery(f"table {schema.name!r} has no column 'version'; leave out expected_version")
    return And((row, _of_version(schema, operation.expected_version)))


def _of_version(schema: TableSchema, version: int) -> Where:
    kind = schema.columns["version"].narrower
    return fitted(kind, "version", "eq", version) if isinstance(kind, Ranged) else Where("version", "eq", version)


def one_row(schema: TableSchema, operation: Update | Delete) -> Filter:
    """Return the checked filter for the operation's id and its ``where``, regardless of the expected version."""
    by_id = Where("id", "eq", checked_id(operation.id, schema))
    where = checked_filter(schema, operation.where)
    return by_id if where is None else And((by_id, where))


def not_same(operation: Upsert) -> PermissionDenied:
    """The error for an upsert whose existing row differs in one of the ``same`` columns."""
    message = f"a record of table {operation.table!r} with this id already exists and belongs to another user"
    return PermissionDenied(message, operation=operation.kind)


def version_conflict(operation: Update | Delete, current: Mapping[str, Any]) -> Conflict:
    """The error for a row that no longer has the expected version."""
    return Conflict(
        f"the record has version {current['version']}, not {operation.expected_version}", operation=operation.kind
    )
