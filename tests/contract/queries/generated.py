"""Random rows and queries, from few values, so that queries often match rows."""

from __future__ import annotations

import math
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import INTEGER_MIN
from database.core.operations import Delete
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.query.filters import COMPARISONS
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.query.filters import after
from database.core.query.filters import complete_order
from database.core.result import Row
from tests.contract.tables import MOODS
from tests.contract.tables import SCHEMA

# Letters of both cases, with and without accents, composed and combining, from each length of UTF-8; and
# whatever means something in a pattern.
CHARACTERS = "aAbBzZ019 _%\\*?[]-^'\"éÉe\u0301\u0131İ\u017fß水\uffff😀\U0010ffff\n"

text = st.text(CHARACTERS, max_size=4)
integers = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([INTEGER_MIN, INTEGER_MAX, 2**53, 2**53 + 1]),
    st.integers(INTEGER_MIN, INTEGER_MAX),
)
floats = st.one_of(
    st.integers(-3, 3).map(float),
    st.sampled_from([0.1, -0.5, 1e300, -1e300, 5e-324, 1.2345678901234567e17]),
    st.floats(allow_nan=False, allow_infinity=False),
)
moments = st.one_of(
    st.integers(-2, 2).map(lambda n: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(microseconds=n)),
    st.datetimes(timezones=st.just(UTC)),
)
documents = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-1, 2), st.sampled_from([1.0, 0.5, 1e300, 2.0**60]), text),
    lambda part: st.one_of(st.lists(part, max_size=3), st.dictionaries(st.sampled_from("abé"), part, max_size=3)),
    max_leaves=6,
)

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "label": text,
    "rank": st.integers(0, 2),
    "title": text,
    "amount": integers,
    "ratio": floats,
    "done": st.booleans(),
    "seen": moments,
    "data": documents.filter(lambda document: document is not None),
    "level": st.one_of(st.integers(-2, 2), st.sampled_from([-(2**15), 2**15 - 1])),
    "stock": st.one_of(st.integers(-2, 2), st.integers(-(2**31), 2**31 - 1)),
    "price": st.one_of(st.integers(-2, 2), st.integers(1 - 10**18, 10**18 - 1)).map(
        lambda units: Decimal(units).scaleb(-4)
    ),
    "day": st.one_of(st.integers(-2, 2).map(lambda n: date(2024, 3, 1) + timedelta(n)), st.dates()),
    "opens": st.one_of(st.integers(0, 3).map(lambda n: time(12, 0, 0, n)), st.times()),
    "noted": st.one_of(
        st.integers(-2, 2).map(lambda n: datetime(2024, 1, 1) + timedelta(microseconds=n)),  # noqa: DTZ001
        st.datetimes(),
    ),
    "cell": text.map(lambda cell: cell.rstrip(" ")),
    "token": st.one_of(st.integers(9, 12).map(lambda n: str(UUID(int=n))), st.uuids().map(str)),
    "raw": st.one_of(st.sampled_from([b"", b"\0", b"a", b"ab", b"\xff"]), st.binary(max_size=5)),
    "span": st.one_of(
        st.integers(-2, 2).map(lambda n: timedelta(microseconds=n)),
        st.integers(1 - 2**63, 2**63 - 1).map(lambda n: timedelta(microseconds=n)),
    ),
    "tags": st.lists(text, max_size=2),
    "scores": st.lists(st.integers(-1, 1), max_size=2),
    "prices": st.lists(st.integers(-100, 100).map(lambda n: Decimal(n).scaleb(-2)), max_size=2),
    "weather": st.sampled_from(["SUN", "RAIN"]),
    "mood": st.sampled_from(MOODS),
    "colour": st.sampled_from(["red", "Blue"]),
}
BEYOND: dict[str, st.SearchStrategy[Any]] = {
    "level": integers,
    "stock": integers,
    "price": st.decimals(allow_nan=False, allow_infinity=False),
    "token": text,
    "cell": st.text(CHARACTERS, max_size=6),
    "span": st.timedeltas(),
    "scores": st.lists(st.sampled_from([0, 1, 70_000]), max_size=2),
    "prices": st.lists(st.sampled_from([Decimal(1), Decimal("0.001"), Decimal(10) ** 9]), max_size=2),
    "weather": text,
    "mood": st.one_of(text, st.sampled_from(["a", "m", "z", "é"])),
    "colour": text,
}
"""What a column can be compared with, but cannot hold."""
_LIKE = {"tag": "token", "number": "amount", "place": "stock"}
"""Columns of keys, and those that hold the same values."""
NULLABLE = tuple(name for name in VALUES if name not in {"label", "rank"})
TEXTUAL = {"id", "tag", "word", "label", "title", "token", "weather", "mood", "colour", "cell"}
ARRAYS = {"tags", "scores", "prices"}
_STAMPS = {"created_at": datetime(2024, 1, 1, tzinfo=UTC), "updated_at": datetime(2024, 1, 2, tzinfo=UTC)}
KEYS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "things": {"id": st.text(CHARACTERS, min_size=1, max_size=3)},
    "tagged": {"tag": VALUES["token"]},
    "numbered": {"number": VALUES["amount"]},
    "paired": {"word": st.text(CHARACTERS + ",/", max_size=2), "place": VALUES["stock"]},
}
"""The columns of each table's key."""


def sortable(table: str) -> tuple[str, ...]:
    """The columns to sort by."""
    return (*KEYS[table], *(name for name in VALUES if name not in {"data", *ARRAYS}))


def _table_of(known: list[Row]) -> str:
    """The table of these rows."""
    return next(table for table in KEYS if KEYS[table].keys() <= known[0].keys())


patterns = st.lists(st.one_of(text, st.sampled_from(["%", "_", "\\%", "\\_", "\\\\"])), max_size=4).map(
    lambda parts: _without_open_escape("".join(parts))
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    """The name of a table; of every third one the key is not named ``id``."""
    return draw(st.sampled_from(["things"] * 6 + [name for name in KEYS if name != "things"]))


@st.composite
def rows(draw: st.DrawFn, table: str = "things") -> list[Row]:
    """Rows of a table with keys of their own."""
    parts = st.tuples(*KEYS[table].values())
    keys = draw(st.lists(parts, min_size=1, max_size=25, unique=True))
    stamps = {name: value for name, value in _STAMPS.items() if name in SCHEMA.table(table).columns}
    return [
        stamps | dict(zip(KEYS[table], key, strict=True)) | {column: draw(_value(column)) for column in VALUES}
        for key in keys
    ]


@st.composite
def filters(draw: st.DrawFn, known: list[Row], depth: int = 3) -> Filter:
    """A filter whose values often are those of ``known`` rows."""
    kind = draw(st.sampled_from(["where", "where", "where", "not", "and", "or"])) if depth else "where"
    if kind == "where":
        return draw(_conditions(known))
    if kind == "not":
        return Not(draw(filters(known, depth - 1)))
    parts = tuple(draw(st.lists(filters(known, depth - 1), max_size=3)))
    return And(parts) if kind == "and" else Or(parts)


@st.composite
def selects(draw: st.DrawFn, known: list[Row]) -> Select:
    """A query, sometimes for the page behind one of the ``known`` rows."""
    table = _table_of(known)
    order = draw(_orders(sortable(table)))
    where = draw(st.one_of(st.none(), filters(known)))
    if draw(st.integers(0, 3)) == 0:
        last = draw(st.sampled_from(known))
        key = SCHEMA.table(table).key
        behind = after(order, [last[one.column] for one in complete_order(order, key)], key)
        where = behind if where is None else where & behind
    return Select(
        table,
        columns=draw(
            st.one_of(
                st.none(),
                st.lists(st.sampled_from(tuple(SCHEMA.table(table).columns)), min_size=1, unique=True).map(tuple),
            )
        ),
        where=where,
        order=order,
        limit=draw(st.one_of(st.none(), st.integers(0, 10))),
        offset=draw(st.one_of(st.none(), st.integers(0, 5))),
        count=draw(st.booleans()),
    )


@st.composite
def groups(draw: st.DrawFn, known: list[Row]) -> Select:
    """A query for groups."""
    table = _table_of(known)
    group = tuple(draw(st.lists(st.sampled_from(sortable(table)), min_size=1, max_size=3, unique=True)))
    return Select(
        table,
        columns=draw(st.one_of(st.none(), st.lists(st.sampled_from(group), min_size=1, unique=True).map(tuple))),
        where=draw(st.one_of(st.none(), filters(known))),
        order=draw(_orders(group)),
        limit=draw(st.one_of(st.none(), st.integers(0, 10))),
        offset=draw(st.one_of(st.none(), st.integers(0, 5))),
        count=draw(st.booleans()),
        group=group,
    )


@st.composite
def changes(draw: st.DrawFn, known: list[Row]) -> Operation:
    """An update or a delete by a random filter."""
    where, table = draw(filters(known)), _table_of(known)
    if draw(st.integers(0, 3)) == 0:
        return Delete(table, where=where, returning=True)
    column = draw(st.sampled_from(tuple(VALUES)))
    stamps = {"updated_at": draw(moments)} if "updated_at" in known[0] else {}
    return Update(table, {column: draw(_value(column)), **stamps}, where=where)


@st.composite
def _orders(draw: st.DrawFn, columns: tuple[str, ...]) -> tuple[Order, ...]:
    keys = draw(st.lists(st.sampled_from(columns), max_size=3, unique=True))
    return tuple(Order(key, draw(st.booleans()), draw(st.sampled_from([None, "first", "last"]))) for key in keys)


@st.composite
def _conditions(draw: st.DrawFn, known: list[Row]) -> Where:
    key = KEYS[_table_of(known)]
    column = draw(st.sampled_from([*key, *VALUES]))
    operators: list[Any] = ["is_null"]
    if column == "data":
        operators += ["contains"] * 3
    elif column in ARRAYS:
        operators += ["eq", "neq", "contains", "contained_by", "overlaps"]
    else:
        operators += [*COMPARISONS, "in", "in"]
    if column in TEXTUAL:
        operators += ["like", "like", "ilike", "ilike", "contains"]
    operator = draw(st.sampled_from(operators))
    if operator == "is_null":
        return Where(column, operator, draw(st.booleans()))
    if operator in {"like", "ilike"}:
        return Where(column, operator, draw(patterns))
    operand = _operands(column, known)
    return Where(column, operator, draw(st.lists(operand, max_size=5) if operator == "in" else operand))


def _operands(column: str, known: list[Row]) -> st.SearchStrategy[Any]:
    values = [row[column] for row in known if row[column] is not None]
    fresh = text if column in {"id", "word"} else VALUES[_LIKE.get(column, column)]
    if (beyond := BEYOND.get(_LIKE.get(column, column))) is not None:
        fresh = st.one_of(fresh, beyond)
    if column == "data":
        return st.one_of(fresh, *([st.sampled_from(values).map(_part)] if values else []))
    return st.one_of(fresh, *([st.sampled_from(values)] if values else []))


def _part(document: Any) -> Any:
    """A document that the given one contains: without its last key, or with its first element only."""
    if isinstance(document, dict):
        return dict(list(document.items())[:-1])
    return document[:1] if isinstance(document, list) else document


def _value(column: str) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), VALUES[column], VALUES[column]) if column in NULLABLE else VALUES[column]


def _without_open_escape(pattern: str) -> str:
    bare = pattern.rstrip("\\")
    return bare + "\\" * ((len(pattern) - len(bare)) // 2 * 2)


def typed(value: Any, *, exact: bool = True) -> Any:
    """The value with its type, all the way down: True is not 1, and 1 is not 1.0 if that is ``exact``."""
    if isinstance(value, dict):
        return {key: typed(part, exact=exact) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part, exact=exact) for part in value]
    if not exact and type(value) is int:
        return typed(float(value)) if float(value) == value else (int, value)
    if isinstance(value, float):
        # No backend tells the two zeros apart.
        return (float, math.copysign(value, 1) if value == 0 else value)
    return (type(value), value)
