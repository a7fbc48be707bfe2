"""Parser for the query string of a list: columns, filters, order and page.

The parameters are ``select``, ``order``, ``limit``, ``offset``, ``cursor`` and ``count=exact``. Any other parameter is
a filter of :mod:`api.records.filters`. Unknown parameters are errors; none is ignored.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from base64 import urlsafe_b64encode
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from werkzeug.datastructures import MultiDict

from api.http.parameters import number_of
from api.http.parameters import refuse_parameters
from api.http.parameters import single_parameters
from api.records import filters
from database import Filter
from database import InvalidQuery
from database import Order
from database import TableSchema
from database.core.kinds.json_forms import json_form
from database.core.kinds.values import INTEGER_MAX
from database.core.query.filters import Nulls
from database.core.query.filters import after
from database.core.query.filters import complete_order
from database.core.query.selection import EVERYTHING
from database.core.query.selection import Selection
from database.core.query.selection import read_selection

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

_SINGLES = frozenset({"select", "order", "limit", "offset", "cursor", "count"})
_RESERVED = _SINGLES | filters.GROUPS
"""Parameters that are no column. A condition on a column of such a name has the name in quotes."""

_DIRECTIONS = {"asc": False, "desc": True}
_NULLS: dict[str, Nulls] = {"nullsfirst": "first", "nullslast": "last"}


@dataclass(frozen=True, slots=True)
class Listing:
    """A requested list.

    The query that reads it checks columns, filters and order.

    :ivar selection: the columns and the related rows to return.
    :ivar where: the filters, without the cursor's.
    :ivar order: the sort keys of the request.
    :ivar keys: the complete sort keys, the table's key last.
    :ivar last: the values of ``keys`` in the row before the page; None for the first page.
    :ivar count: whether to count all matching rows.
    :ivar key: the columns of the table's key.
    :ivar linking: the columns by which related rows are found.
    """

    table: str
    selection: Selection
    where: Filter | None
    order: tuple[Order, ...]
    keys: tuple[Order, ...]
    limit: int
    offset: int | None
    last: tuple[Any, ...] | None
    count: bool
    key: tuple[str, ...]
    linking: tuple[str, ...] = ()

    def filter_behind(self, last: tuple[Any, ...] | None) -> Filter | None:
        """The filters for the rows after a row with these sort key values; for None, for all rows."""
        if last is None:
            return self.where
        behind = after(self.keys, last, self.key)
        return behind if self.where is None else self.where & behind

    @property
    def fetched_columns(self) -> tuple[str, ...] | None:
        """The columns to return, those that related rows need, and the sort keys, which the next cursor needs."""
        return with_columns(self.selection.columns, [*self.linking, *[key.column for key in self.keys]])

    def cursor_behind(self, last: tuple[Any, ...]) -> str:
        """The cursor of the page after a row with these sort key values."""
        document = [_fingerprint(self.table, self.keys), last]
        return urlsafe_b64encode(orjson.dumps(document, json_form)).rstrip(b"=").decode()


def read_listing(schema: TableSchema, parameters: MultiDict[str, str], *, whole: bool = False) -> Listing:
    """Parse the query string of a list.

    :param whole: whether all records are wanted unless there is a limit, which may be any.
    :raises InvalidQuery: for an unknown, repeated or malformed parameter; names it.
    """
    try:
        return _listing(schema, parameters, whole)
    except InvalidQuery as error:
        hidden = sorted(_RESERVED & parameters.keys() & schema.columns.keys())
        if not hidden:
            raise
        name = hidden[0]
        raise InvalidQuery(f'{error}; to name the column {name!r} in a condition, write "{name}"=eq.value') from None


def _listing(schema: TableSchema, parameters: MultiDict[str, str], whole: bool) -> Listing:
    singles = single_parameters(parameters, _SINGLES)
    order = _order(singles.get("order"))
    keys = complete_order(order, schema.key)
    cursor, offset = singles.get("cursor"), singles.get("offset")
    default, most = (INTEGER_MAX, INTEGER_MAX) if whole else (DEFAULT_LIMIT, MAX_LIMIT)
    if cursor is not None and offset is not None:
        raise InvalidQuery("cursor and offset cannot be combined; use one of them")
    return Listing(
        schema.name,
        _selection(singles.get("select")),
        filters.checked_filters(_filters(schema, parameters)),
        order,
        keys,
        number_of("limit", singles.get("limit", str(default)), most),
        None if offset is None else number_of("offset", offset),
        None if cursor is None else _last(schema, keys, cursor),
        _count(singles.get("count")),
        schema.key,
    )


def read_record_selection(parameters: MultiDict[str, str]) -> Selection:
    """What to return of a record. :raises InvalidQuery: for any parameter except ``select``."""
    refuse_parameters(parameters, allowed=("select",))
    return _selection(single_parameters(parameters, _SINGLES).get("select"))


def with_columns(columns: tuple[str, ...] | None, more: Sequence[str]) -> tuple[str, ...] | None:
    """The columns to return and additional columns; None for all.

    Repeated columns to return are kept, so that the query rejects them.
    """
    if columns is None:
        return None
    return (*columns, *dict.fromkeys(name for name in more if name not in columns))


def _filters(schema: TableSchema, parameters: MultiDict[str, str]) -> list[Filter]:
    found: list[Filter] = []
    for name, text in parameters.items(multi=True):
        if name not in _SINGLES:
            read: Callable[[TableSchema, str, str], Filter]
            read = filters.group if name in filters.GROUPS else filters.condition
            found.append(read(schema, name, text))
    return found


def _selection(text: str | None) -> Selection:
    return EVERYTHING if text is None else read_selection(text)


def _order(text: str | None) -> tuple[Order, ...]:
    return () if text is None else tuple([_order_key(part) for part in text.split(",")])


def _order_key(text: str) -> Order:
    column, *words = text.split(".")
    descending = _DIRECTIONS[words.pop(0)] if words and words[0] in _DIRECTIONS else False
    nulls = _NULLS[words.pop(0)] if words and words[0] in _NULLS else None
    if words:
        raise InvalidQuery(
            "order must have the form column.asc or column.desc, optionally followed by .nullsfirst or .nullslast"
        )
    return Order(column, descending, nulls)


def _count(text: str | None) -> bool:
    if text not in (None, "exact"):
        raise InvalidQuery('count must be "exact"')
    return text is not None


def _last(schema: TableSchema, order: tuple[Order, ...], cursor: str) -> tuple[Any, ...]:
    """The sort key values in a cursor. A client may have sent any text."""
    other = InvalidQuery("the cursor is not valid for this table and order; use next_cursor of the previous page")
    try:
        document = orjson.loads(b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
    except ValueError:
        raise other from None
    match document:
        case [fingerprint, list(values)] if fingerprint == _fingerprint(schema.name, order):
            if len(values) == len(order):
                return tuple(_key_value(schema, key, value) for key, value in zip(order, values, strict=True))
    raise other


def _key_value(schema: TableSchema, key: Order, value: Any) -> Any:
    try:
        return schema.column(key.column).check(value)
    except ValueError as error:
        raise InvalidQuery(f"column {key.column!r} of the cursor {error}") from None


def _fingerprint(table: str, order: Sequence[Order]) -> str:
    keys = [(key.column, key.descending, key.nulls_first) for key in order]
    return hashlib.sha256(orjson.dumps([table, keys])).hexdigest()[:16]
