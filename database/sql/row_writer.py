"""Functions that check one row and make what a driver binds of it, generated for the columns that are given.

A write of one row spends more time in the checks of its columns than in all stages together, because each is a call.
Most values are of a plain form that an expression can recognise; a row with any other value is left to
:func:`~database.core.tables.rows.complete_row`, which also says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from datetime import UTC
from datetime import datetime
from math import isfinite
from typing import Any
from typing import Final
from typing import NamedTuple

from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import FLOAT
from database.core.kinds.values import INTEGER
from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import INTEGER_MIN
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import Kind
from database.core.tables.defaults import MISSING
from database.core.tables.schema import Column
from database.core.tables.schema import TableSchema

Encoders = Mapping[str, Callable[[Any], Any]]

_PLAIN: Final[Mapping[Kind, str]] = {
    INTEGER: f"type({{0}}) is int and {INTEGER_MIN} <= {{0}} <= {INTEGER_MAX}",
    FLOAT: "type({0}) is float and isfinite({0})",
    BOOLEAN: "type({0}) is bool",
    TIMESTAMP: "type({0}) is datetime and {0}.tzinfo is UTC",
}
"""What certainly is a valid value in its stored form."""

_NAMES: Final[Mapping[str, Any]] = {"isfinite": isfinite, "datetime": datetime, "UTC": UTC}


class RowWriter(NamedTuple):
    """How one row is written whose values have plain forms.

    :ivar columns: the columns that are written, in declared order.
    :ivar values: the values for the driver; called with those of the row, in its order, and the present time. None if
        one of them needs another look.
    """

    columns: tuple[str, ...]
    values: Callable[..., list[Any] | None]


def row_writer(schema: TableSchema, given: Sequence[str], encoders: Encoders) -> RowWriter | None:
    """The function for rows with these columns; None if they need another look in any case.

    :param given: declared columns.
    :param encoders: make what the driver binds of a checked value, for columns where that is something else.
    """
    places = {name: f"v{place}" for place, name in enumerate(given)}
    checks = [_check(schema.columns[name], value) for name, value in places.items()]
    sources: dict[str, str] = {}
    names = dict(_NAMES)
    for place, (name, column) in enumerate(schema.columns.items()):
        source = places.get(name) or _made(schema, column, f"default_{place}")
        if source is None:
            return None
        if source:
            sources[name] = _encoded(column, source, f"encode_{place}") if name in encoders else source
            names |= {f"default_{place}": column.default, f"encode_{place}": encoders.get(name)}
    if None in checks:
        return None
    condition = " and ".join(f"({check})" for check in checks)
    # No text of others is in it: columns are numbered.
    text = f"lambda {', '.join([*places.values(), 'now'])}: [{', '.join(sources.values())}] if {condition} else None"
    return RowWriter(tuple(sources), eval(text, names))  # noqa: S307


def _check(column: Column, value: str) -> str | None:
    """The condition under which a value has a plain form; None if it has none."""
    if column.checks is TEXT:
        check = f"type({value}) is str and {value}.isascii() and '\\0' not in {value}"
        check += f" and len({value}) <= {column.max_length}" if column.max_length is not None else ""
        check += f" and {value}" if column.filled else ""
    elif column.checks in _PLAIN and not column.bounded:
        check = _PLAIN[column.checks].format(value)
    else:
        return None
    return f"{value} is None or ({check})" if column.nullable else check


def _made(schema: TableSchema, column: Column, default: str) -> str | None:
    """What a column gets that is not given: empty if it is left to the database, None if it needs another look."""
    if column.name in schema.managed:
        return "1" if column.name == "version" else "now" if column.kind is TIMESTAMP else None
    if column.make is not None or column.name == "version":
        return None
    if column.server_default:
        return ""
    return None if column.default is MISSING else default


def _encoded(column: Column, source: str, encode: str) -> str:
    return f"None if {source} is None else {encode}({source})" if column.nullable else f"{encode}({source})"
