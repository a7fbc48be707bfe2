"""Rows as text: the form in which two backends' rows are compared, and in which a row is remembered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Final

import orjson

from database.core.result import Row
from database.core.tables.schema import TableSchema

_INT64: Final = 2.0**63


class CanonicalRows:
    """The rows of one table as text: the same text for equal rows, and another for others.

    Equal are rows whose declared columns are equal. Numbers are equal by value, because not every backend tells
    ``1.0`` from ``1`` in a JSON document.
    """

    def __init__(self, table: TableSchema) -> None:
        self._columns = table.columns

    def text(self, row: Row | None) -> str | None:
        """A row as text; None for none."""
        if row is None:
            return None
        values = {name: _normal(row[name]) for name in self._columns}
        return orjson.dumps(values, option=orjson.OPT_SORT_KEYS).decode()

    def row(self, text: str | None) -> Row | None:
        """The row of a text. A column that has been declared since is None."""
        if text is None:
            return None
        values: Mapping[str, Any] = orjson.loads(text)
        found = {name: values.get(name) for name in self._columns}
        return {name: None if value is None else self._columns[name].kind.check(value) for name, value in found.items()}


def _normal(value: Any) -> Any:
    """The value with every number that an integer can say as an integer."""
    if isinstance(value, float) and value.is_integer() and -_INT64 <= value < _INT64:
        return int(value)
    if isinstance(value, dict):
        return {key: _normal(part) for key, part in value.items()}
    return [_normal(part) for part in value] if isinstance(value, list) else value
