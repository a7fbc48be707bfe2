"""Rows as canonical text, which is compared between two backends and stored as the base of the three-way merge."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final

import orjson

from database.core.kinds.json_forms import json_form
from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import INTEGER
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.result import Row
from database.core.tables.schema import TableSchema

_INT64: Final = 2.0**63


_FINAL: Final = frozenset({str, int, bool, type(None)})
"""The types of JSON values that have one form only."""

_are_final: Final = _FINAL.issuperset

_PLAIN: Final = frozenset({TEXT, INTEGER, BOOLEAN, TIMESTAMP})
"""The kinds whose values have one form only."""


class CanonicalRows:
    """Converts the rows of one table to text, which is equal if and only if the rows are equal.

    Rows are equal if their declared columns are. Numbers are compared by value, because some backends do not
    distinguish ``1.0`` from ``1`` in a JSON document.
    """

    def __init__(self, table: TableSchema) -> None:
        self._columns = table.columns
        self._make = _maker(table)
        # The columns are in order already, but the members of a document are not.
        self._option = orjson.OPT_SORT_KEYS if any(one.kind is JSON for one in table.columns.values()) else None

    def text(self, row: Row | None) -> str | None:
        """Convert a row to text; None stays None."""
        return None if row is None else self.texts((row,))[0]

    def texts(self, rows: Sequence[Row]) -> list[str]:
        """Convert rows to texts."""
        option = self._option
        return [orjson.dumps(values, json_form, option).decode() for values in self._make(rows)]

    def row(self, text: str | None) -> Row | None:
        """Convert text to a row. Columns that were declared later are None."""
        if text is None:
            return None
        values: Mapping[str, Any] = orjson.loads(text)
        found = {name: values.get(name) for name in self._columns}
        return {name: None if value is None else self._columns[name].kind.check(value) for name, value in found.items()}


def _maker(table: TableSchema) -> Callable[[Sequence[Row]], Iterator[Row]]:
    """A function that makes rows ready for their text; generated for the columns, as :mod:`database.sql.record_maker`
    explains, because this is done twice for each record that is compared.
    """
    pairs = [
        f"{name!r}: row[{name!r}]" if table.columns[name].kind in _PLAIN else f"{name!r}: normal(row[{name!r}])"
        for name in sorted(table.columns)
    ]
    # All that is not constant in the text are the columns' names, as literals.
    maker: Callable[[Sequence[Row]], Iterator[Row]] = eval(  # noqa: S307
        f"lambda rows: ({{{', '.join(pairs)}}} for row in rows)", {"normal": _normal}
    )
    return maker


def _normal(value: Any) -> Any:
    """Replace every float that equals a 64-bit integer by that integer."""
    # By exact type, and in a loop without a call for each part: documents are most of what a row costs.
    kind = type(value)
    if kind is dict:
        made = {}
        for key, part in value.items():
            if (kind := type(part)) in _FINAL:
                made[key] = part
            elif kind is float:
                made[key] = int(part) if part.is_integer() and -_INT64 <= part < _INT64 else part
            else:
                made[key] = _normal(part)
        return made
    if kind is list:
        return value if _are_final(map(type, value)) else [_normal(part) for part in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() and -_INT64 <= value < _INT64 else value
    return value
