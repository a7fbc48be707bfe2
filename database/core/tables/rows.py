"""Checks and completes rows before they are sent to a backend.

Many rows are processed column by column: one type check and one scan per column instead of one per value,
so that checking a batch of a thousand rows takes no longer than passing it to the driver.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from operator import itemgetter
from typing import Any
from typing import Final

from database.core.clock import utc_now
from database.core.errors import InvalidQuery
from database.core.errors import InvalidRow
from database.core.kinds.calendar import clock
from database.core.kinds.json_texts import copied_json
from database.core.kinds.json_texts import copied_jsons
from database.core.kinds.values import JSON
from database.core.tables.columnar_rows import ColumnarRows
from database.core.tables.columnar_rows import Columns
from database.core.tables.defaults import MISSING
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema
from database.core.tables.schema import make_id

SERVER_DEFAULT: Final = object()
"""In place of an update's value: the default that only the database can make."""

_TIMES: Final = frozenset({"created_at", "updated_at"})

_NULL: Final = type(None)

_NO_SERVER: Final = "is required here: only a SQL database can make its server_default"
_ALWAYS: Final = "is always numbered by the database; leave it out"


def complete_rows(
    schema: TableSchema,
    rows: Sequence[Mapping[str, Any]],
    now: datetime,
    *,
    server: bool = True,
    later: bool = False,
    copied: bool = False,
) -> Columns:
    """Check ``rows`` for an insert and fill in keys, versions, times and declared defaults.

    A column is left out if all rows leave it to the database's own default; :func:`differ_in_defaults` tells rows of
    which only some do.

    :param server: whether the database can make such a default.
    :param later: whether it can do so later, when the key must be known already.
    :param copied: whether the rows were read from a database, and are only to be written: most JSON values then come
        out as ``JsonText``.
    :raises InvalidRow: names the first bad row and its column.
    """
    given = _given_columns(schema, rows)
    result: Columns = {}
    for column in schema.columns.values():
        if not server and column.stand_in is not None:
            column = replace(column, make=column.stand_in, server_default=False)  # noqa: PLW2901  # as it is here
        if column.name in given:
            check = _copied if copied and column.checks is JSON else _checked
            result[column.name] = check(schema, column, _values(schema, column, rows, now))
        elif column.make is not None:
            result[column.name] = [_made(schema, column, rows, index, row) for index, row in enumerate(rows)]
        elif (default := _default(column, now)) is not MISSING:
            result[column.name] = [default] * len(rows)
        elif not column.server_default:
            raise _required(schema, column, rows, 0)
        if not (server or (later and column.name not in schema.key)) and column.name not in result:
            raise InvalidRow(_message(schema, rows, 0, column.name, _NO_SERVER), row=0, column=column.name)
    return result


def differ_in_defaults(schema: TableSchema, rows: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some rows, and not all, leave a column to a default that only the database can make."""
    return any(len({name in row for row in rows if _is_record(row)}) > 1 for name in schema.server_made)


def check_rows(schema: TableSchema, rows: Sequence[Mapping[str, Any]]) -> None:
    """Check ``rows`` for an insert, without making anything. :raises InvalidRow: as :func:`complete_rows`."""
    _given_columns(schema, rows)
    for index, row in enumerate(rows):
        for name, column in schema.columns.items():
            if name in row:
                _checked_in_row(schema, column, rows, index, row[name])
            elif column.make is None and not column.server_default and _default(column, None) is MISSING:
                raise _required(schema, column, rows, index)


def refuse_given_numbers(schema: TableSchema, rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse rows of a numbered table that give a key which the database always makes.

    :raises InvalidRow: names the first one.
    """
    if not schema.always_numbered:
        return
    name = schema.key[0]
    for index, row in enumerate(rows):
        if _is_record(row) and name in row:
            raise InvalidRow(_message(schema, rows, index, name, _ALWAYS), row=index, column=name)


def without_number(schema: TableSchema, rows: Sequence[Mapping[str, Any]]) -> int:
    """How many of the rows need a number from the database."""
    return sum(schema.key[0] not in row for row in rows) if schema.numbered else 0


def with_numbers(
    schema: TableSchema, rows: Sequence[Mapping[str, Any]], numbers: Iterable[int]
) -> list[Mapping[str, Any]]:
    """The rows with these numbers as the keys that are missing, in their order."""
    name, made = schema.key[0], iter(numbers)
    return [row if name in row else {name: next(made), **row} for row in rows]


def known_values(schema: TableSchema, rows: Sequence[Mapping[str, Any]], name: str) -> list[Any]:
    """The values that checked ``rows`` will have in a column; None for one that has yet to be made."""
    column = schema.column(name)
    default = None if column.make is not None or column.default is MISSING else column.default
    return [column.check(row[name]) if name in row else default for row in rows]


def complete_row(schema: TableSchema, row: Mapping[str, Any], now: datetime | None = None) -> dict[str, Any]:
    """Check and complete one row: a faster :func:`complete_rows` for a single row.

    :param now: the present time by default, which few tables without times need.
    """
    if now is None and schema.managed:
        now = utc_now()
    if not _is_record(row) or not row.keys() <= schema.columns.keys():
        _given_columns(schema, [row])
    completed: dict[str, Any] = {}
    for name, column in schema.columns.items():
        if name in row:
            value = row[name]
            try:
                # What Column.check() would do, with one call less for most columns.
                plain = value is not None and not column.bounded
                completed[name] = column.checks.check(value) if plain else column.check(value)
            except ValueError as error:
                raise InvalidRow(_message(schema, [row], 0, name, str(error)), row=0, column=name) from None
        elif column.make is not None:
            completed[name] = _made(schema, column, [row], 0, row)
        elif (default := _default(column, now)) is not MISSING:
            completed[name] = default
        elif not column.server_default:
            raise _required(schema, column, [row], 0)
    return completed


def new_values(schema: TableSchema, values: Mapping[str, Any], now: datetime, *, server: bool = True) -> dict[str, Any]:
    """Check the values of an update, and add ``updated_at`` and what a declared ``onupdate`` makes.

    The key and ``version`` cannot be set.

    :param server: whether the database can make a ``SERVER_DEFAULT``.
    :raises InvalidQuery: names the column.
    """
    checked = check_values(schema, values)
    if not server and (name := next((name for name in checked if checked[name] is SERVER_DEFAULT), None)):
        raise InvalidQuery(f"column {name!r} of table {schema.name!r} {_NO_SERVER}")
    if "updated_at" in schema.managed:
        checked.setdefault("updated_at", clock(schema.columns["updated_at"].kind, now))
    return checked | touched_values(schema, checked) if schema.touched else checked


def check_values(schema: TableSchema, values: Mapping[str, Any]) -> dict[str, Any]:
    """Check the values of an update, without making anything. :raises InvalidQuery: as :func:`new_values`."""
    checked: dict[str, Any] = {}
    for name, value in values.items():
        column = schema.columns.get(name) or schema.column(name)
        if name == "version" or name in schema.key:
            raise InvalidQuery(f"column {name!r} cannot be updated")
        try:
            checked[name] = value if value is SERVER_DEFAULT else column.check(value)
        except ValueError as error:
            raise _not_a_value(column, error) from None
    if not checked:
        raise InvalidQuery("an update needs at least one column")
    return checked


def touched_values(schema: TableSchema, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a declared ``onupdate`` makes for the columns that an update leaves out."""
    made = {column: column.on_update for column in schema.touched if column.name not in given}
    return {column.name: checked_value(column, make(given)) for column, make in made.items() if make is not None}


def replacement_values(schema: TableSchema, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The values of an update that replaces a record by ``row``: columns that it lacks get their defaults.

    A column with an ``onupdate`` gets that. :raises InvalidRow: as :func:`complete_rows`.
    """
    completed = complete_row(schema, row, now)
    left = {column.name for column in schema.touched} - row.keys()
    return {
        name: completed.get(name, SERVER_DEFAULT)
        for name in schema.columns
        if name not in schema.key and name not in schema.managed and name not in left
    }


def replaced_columns(schema: TableSchema, names: Sequence[str], row: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns that an upsert overwrites in an existing row: those of ``row``, and ``updated_at``."""
    kept = schema.managed.union(schema.key)
    timed = "updated_at" in schema.managed
    return tuple(name for name in names if (timed and name == "updated_at") or (name in row and name not in kept))


def checked_value(column: Column, value: Any) -> Any:
    """Return ``value`` in the column's stored form. :raises InvalidQuery: says what is wrong."""
    try:
        return column.check(value)
    except ValueError as error:
        raise _not_a_value(column, error) from None


def as_rows(columns: Columns) -> list[dict[str, Any]]:
    """Convert the columns of :func:`complete_rows` to records."""
    names = tuple(columns)
    return [dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _not_a_value(column: Column, error: ValueError) -> InvalidQuery:
    return InvalidQuery(f"column {column.name!r} {error}")


def _given_columns(schema: TableSchema, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    if not rows:
        raise InvalidQuery("no rows were given; a write needs at least one")
    if isinstance(rows, ColumnarRows):
        return _named_columns(schema, rows[:1])
    _refuse_non_records(rows)
    # With as many values as columns, an unknown one takes the place of a column, which is missed later.
    if {*map(len, rows)} == {len(schema.columns)} and rows[0].keys() == schema.columns.keys():
        return {*schema.columns}
    return _named_columns(schema, rows)


def _named_columns(schema: TableSchema, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    given: set[str] = set().union(*rows)
    if not given <= schema.columns.keys():
        index = next(i for i, row in enumerate(rows) if not row.keys() <= schema.columns.keys())
        unknown = min((name for name in rows[index] if name not in schema.columns), key=repr)
        raise InvalidRow(_message(schema, rows, index, unknown, "does not exist"), row=index, column=str(unknown)[:64])
    return given


def _refuse_non_records(rows: Sequence[Any]) -> None:
    if {*map(type, rows)} == {dict}:
        return
    for index, row in enumerate(rows):
        if not _is_record(row):
            raise InvalidRow(f"row {index + 1} must be a mapping of column names to values", row=index, column=None)


def _is_record(row: object) -> bool:
    return type(row) is dict or isinstance(row, Mapping)


def _values(schema: TableSchema, column: Column, rows: Sequence[Mapping[str, Any]], now: datetime) -> Sequence[Any]:
    if isinstance(rows, ColumnarRows):
        return rows.columns[column.name]
    try:
        return list(map(itemgetter(column.name), rows))
    except KeyError:
        _named_columns(schema, rows)
        return _with_defaults(schema, column, rows, now)


def _with_defaults(
    schema: TableSchema, column: Column, rows: Sequence[Mapping[str, Any]], now: datetime
) -> Sequence[Any]:
    """The values of a column that some rows lack."""
    name = column.name
    if column.make is not None:
        return [row[name] if name in row else _made(schema, column, rows, i, row) for i, row in enumerate(rows)]
    default = _default(column, now)
    if default is MISSING:
        raise _required(schema, column, rows, next(i for i, row in enumerate(rows) if name not in row))
    return [row.get(name, default) for row in rows]


def _made(schema: TableSchema, column: Column, rows: Sequence[Any], index: int, row: Mapping[str, Any]) -> Any:
    """The value that a declared function makes for a row, or a new id."""
    if column.make is make_id:
        return make_id(row)
    assert column.make is not None
    return _checked_in_row(schema, column, rows, index, column.make(row))


def _required(schema: TableSchema, column: Column, rows: Sequence[Any], index: int) -> InvalidRow:
    return InvalidRow(_message(schema, rows, index, column.name, "is required"), row=index, column=column.name)


def _default(column: Column, now: datetime | None) -> Any:
    if column.name == "version":
        return 1
    if column.name in _TIMES and (shown := clock(column.kind, utc_now() if now is None else now)) is not None:
        return shown
    return MISSING if column.server_default else column.default


def _checked(schema: TableSchema, column: Column, values: Sequence[Any]) -> Sequence[Any]:
    if len(values) > 1 and _are_valid(column, values):
        return values
    return [_checked_in_row(schema, column, values, index, value) for index, value in enumerate(values)]


def _copied(schema: TableSchema, column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """As :func:`_checked`, of JSON values that were read from a database: most of them as their text."""
    if (texts := copied_jsons(values)) is not None:
        return texts
    return [
        (value is not None and copied_json(value)) or _checked_in_row(schema, column, values, index, value)
        for index, value in enumerate(values)
    ]


def _are_valid(column: Column, values: Sequence[Any]) -> bool:
    """Whether values are certainly valid in their stored form; after False, each must be checked alone."""
    kind, types = column.checks, {*map(type, values)}
    if column.nullable and _NULL in types:
        types.discard(_NULL)
        values = [value for value in values if value is not None]
    if types != {kind.python_type}:
        return not types
    if column.max_length is not None and max(map(len, values)) > column.max_length:
        return False
    return not (column.filled and not all(values)) and kind.accepts_all(values)


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
