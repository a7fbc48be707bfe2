"""Rows as canonical text, which is compared between two backends and stored as the base of the three-way merge."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

import orjson

from database.core.kinds.json_forms import json_form
from database.core.result import Row
from database.core.tables.schema import TableSchema

_INT64: Final = 2.0**63


class CanonicalRows:
    """Converts the rows of one table to text, which is equal if and only if the rows are equal.

    Rows are equal if their declared columns are. Numbers are compared by value, because some backends do not
    distinguish ``1.0`` from ``1`` in a JSON document.
    """

    def __init__(self, table: TableSchema) -> None:
        self._columns = table.columns

    def text(self, row: Row | None) -> str | None:
        """Convert a row to text; None stays None."""
        if row is None:
            return None
        values = {name: _normal(row[name]) for name in self._columns}
        return orjson.dumps(values, json_form, orjson.OPT_SORT_KEYS).decode()

    def row(self, text: str | None) -> Row | None:
        """Convert text to a row. Columns that were declared later are None."""
        if text is None:
            return None
        values: Mapping[str, Any] = orjson.loads(text)
        found = {name: values.get(name) for name in self._columns}
        return {name: None if value is None else self._columns[name].kind.check(value) for name, value in found.items()}


def _normal(value: Any) -> Any:
    """Replace every float that equals a 64-bit integer by that integer."""
    if isinstance(value, float) and value.is_integer() and -_INT64 <= value < _INT64:
        return int(value)
    if isinstance(value, dict):
        return {key: _normal(part) for key, part in value.items()}
    return [_normal(part) for part in value] if isinstance(value, list) else value
