"""Checks and completes rows before they are sent to a backend.

Many rows are processed column by column: one type check and one scan per column instead of one per value,
so that checking a batch of a thousand rows takes no longer than passing it to the driver.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from itertools import repeat
from operator import itemgetter
from typing import Any

from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.tables.schema import MANAGED
from database.core.tables.schema import MISSING
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema
from database.core.tables.schema import new_id
from database.core.tables.values import TIMESTAMP

Columns = dict[str, Sequence[Any]]
"""Column name to its checked values, one per row."""


def complete_rows(schema: TableSchema, rows: Sequence[Mapping[str, Any]], now: datetime) -> Columns:
    """Check ``rows`` for an insert and fill in ids, versions, times and declared defaults.

    A column is left out if all rows leave it to the database's own default. :raises InvalidRow: names the
    first bad row and its column.
    """
    given = _given_columns(schema, rows)
    result: Columns = {}
    for column in schema.columns.values():
        if column.name in given:
            result[column.name] = _checked(schema, column, _values(schema, column, rows, now))
        elif (default := _default(column, now)) is not MISSING:
            result[column.name] = [new_id() for _ in rows] if column.name == "id" else [default] * len(rows)
        elif not column.server_default:
            raise InvalidRow(_message(schema, rows, 0, column.name, "is required"), row=0, column=column.name)
    return result


def complete_row(schema: TableSchema, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Check and complete one row: a faster :func:`complete_rows` for a single row."""
    if not _is_record(row) or not row.keys() <= schema.columns.keys():
        _given_columns(schema, [row])
    completed: dict[str, Any] = {}
    for name, column in schema.columns.items():
        try:
            if name in row:
                completed[name] = column.check(row[name])
            elif (default := _default(column, now)) is not MISSING:
                completed[name] = new_id() if name == "id" else default
            elif not column.server_default:
                raise ValueError("is required")
        except ValueError as error:
            text = _message(schema, [row], 0, name, str(error))
            raise InvalidRow(text, row=0, column=name) from None
    return completed


def new_values(schema: TableSchema, values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Check the values of an update and add ``updated_at``.

    ``id`` and ``version`` cannot be set. :raises InvalidQuery: names the column.
    """
    checked: dict[str, Any] = {}
    for name, value in values.items():
        column = schema.column(name)
        if name in {"id", "version"}:
            raise InvalidQuery(f"column {name!r} cannot be updated")
        checked[name] = checked_value(column, value)
    if not checked:
        raise InvalidQuery("an update needs at least one column")
    updated_at = schema.columns.get("updated_at")
    if updated_at is not None and updated_at.kind is TIMESTAMP:
        checked.setdefault("updated_at", now)
    return checked


def replaced_columns(names: Sequence[str], row: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that an upsert overwrites in an existing row: those of ``row``, and ``updated_at``."""
    kept = MANAGED | {"id"}
    return tuple(name for name in names if name == "updated_at" or (name in row and name not in kept))


def checked_value(column: Column, value: Any) -> Any:
    """Return ``value`` in the column's stored form. :raises InvalidQuery: says what is wrong."""
    try:
        return column.check(value)
    except ValueError as error:
        raise InvalidQuery(f"column {column.name!r} {error}") from None


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """Convert the columns of :func:`complete_rows` to records."""
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _given_columns(schema: TableSchema, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    if not rows:
        raise InvalidQuery("no rows were given; a write needs at least one")
    _refuse_non_records(rows)
    given: set[str] = set().union(*rows)
    if not given <= schema.columns.keys():
        index = next(i for i, row in enumerate(rows) if not row.keys() <= schema.columns.keys())
        unknown = min((name for name in rows[index] if name not in schema.columns), key=repr)
        raise InvalidRow(_message(schema, rows, index, unknown, "does not exist"), row=index, column=str(unknown)[:64])
    return given


def _refuse_non_records(rows: Sequence[Any]) -> None:
    for index, row in enumerate(rows):
        if not _is_record(row):
            raise InvalidRow(f"row {index + 1} must be a mapping of column names to values", row=index, column=None)


def _is_record(row: object) -> bool:
    return type(row) is dict or isinstance(row, Mapping)


def _values(schema: TableSchema, column: Column, rows: Sequence[Mapping[str, Any]], now: datetime) -> Sequence[Any]:
    try:
        return list(map(itemgetter(column.name), rows))
    except KeyError:
        return _with_defaults(schema, column, rows, now)


def _with_defaults(
    schema: TableSchema, column: Column, rows: Sequence[Mapping[str, Any]], now: datetime
) -> Sequence[Any]:
    """The values of a column that some rows lack."""
    default = _default(column, now)
    if default is MISSING:
        index = next(i for i, row in enumerate(rows) if column.name not in row)
        raise InvalidRow(_message(schema, rows, index, column.name, "is required"), row=index, column=column.name)
    defaults: Iterable[Any] = (new_id() for _ in rows) if column.name == "id" else repeat(default)
    return [row.get(column.name, value) for row, value in zip(rows, defaults, strict=False)]


def _default(column: Column, now: datetime) -> Any:
    if column.name == "id":
        return None if not column.server_default else MISSING
    if column.name == "version":
        return 1
    if column.name in {"created_at", "updated_at"} and column.kind is TIMESTAMP:
        return now
    return MISSING if column.server_default and column.default is None else column.default


def _checked(schema: TableSchema, column: Column, values: Sequence[Any]) -> Sequence[Any]:
    kind = column.checks
    uniform = len(values) > 1 and column.max_length is None and set(map(type, values)) == {kind.python_type}
    if uniform and column.name != "id" and kind.accepts_all(values):
        return values
    return [_checked_in_row(schema, column, values, index, value) for index, value in enumerate(values)]


def _checked_in_row(schema: TableSchema, column: Column, values: Sequence[Any], index: int, value: Any) -> Any:
    try:
        return column.check(value)
    except ValueError as error:
        text = _message(schema, values, index, column.name, str(error))
        raise InvalidRow(text, row=index, column=column.name) from None


def _message(schema: TableSchema, rows: Sequence[Any], index: int, column: object, problem: str) -> str:
    name = str(column)[:64]
    where = f"row {index + 1}: " if len(rows) > 1 else ""
    return f"{where}column {name!r} of table {schema.name!r} {problem}"
