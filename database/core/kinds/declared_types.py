"""SQLAlchemy's types as kinds of columns. Those that mean something else on some backend are refused."""

from __future__ import annotations

from typing import Any
from typing import Final

import sqlalchemy as sa

from database.core.kinds.arrays import Arrays
from database.core.kinds.binary import BYTES
from database.core.kinds.calendar import DATE
from database.core.kinds.calendar import LOCAL_TIMESTAMP
from database.core.kinds.calendar import TIME
from database.core.kinds.calendar import WRITTEN_TIMESTAMPS
from database.core.kinds.chars import CHARS
from database.core.kinds.decimals import MAX_NUMBER_PRECISION
from database.core.kinds.decimals import MAX_PRECISION
from database.core.kinds.decimals import NumberDecimals
from database.core.kinds.decimals import decimals
from database.core.kinds.durations import DURATIONS
from database.core.kinds.enums import enums
from database.core.kinds.ranges import MIDDLE_INTEGER
from database.core.kinds.ranges import SMALL_INTEGER
from database.core.kinds.uuids import UUIDS
from database.core.kinds.values import BOOLEAN
from database.core.kinds.values import FLOAT
from database.core.kinds.values import INTEGER
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import Kind

Type = sa.types.TypeEngine[Any]

_SINGLE_BITS: Final = 24
_WHOLE_PRECISION: Final = frozenset({None, 6})

_TIMESTAMPS: Final = ("datetime", "TIMESTAMP")

# By the name of the method that writes the type into SQL: a subclass without one of its own is the same type.
_KINDS: Final = {
    **dict.fromkeys(["string", "text", "unicode", "unicode_text", "VARCHAR", "TEXT"], TEXT),
    **dict.fromkeys(["small_integer", "SMALLINT"], SMALL_INTEGER),
    **dict.fromkeys(["integer", "INTEGER"], MIDDLE_INTEGER),
    **dict.fromkeys(["big_integer", "BIGINT"], INTEGER),
    **dict.fromkeys(["float", "FLOAT", "double", "DOUBLE", "DOUBLE_PRECISION"], FLOAT),
    **dict.fromkeys(["boolean", "BOOLEAN"], BOOLEAN),
    **dict.fromkeys(_TIMESTAMPS, TIMESTAMP),
    **dict.fromkeys(["JSON", "JSONB"], JSON),
    "CHAR": CHARS,
    **dict.fromkeys(["uuid", "UUID"], UUIDS),
    **dict.fromkeys(["date", "DATE"], DATE),
    **dict.fromkeys(["time", "TIME"], TIME),
    **dict.fromkeys(["large_binary", "BYTEA"], BYTES),
    **dict.fromkeys(["interval", "INTERVAL"], DURATIONS),
}
_ENUMS: Final = frozenset({"enum", "ENUM"})
_DECIMALS: Final = frozenset({"numeric", "NUMERIC", "DECIMAL"})
_STORED_OTHERWISE: Final = _DECIMALS | {"ARRAY", "interval", "INTERVAL", "large_binary", "BYTEA"}
_PORTABLE: Final = (
    "BigInteger, Boolean, CHAR(length), Date, DateTime, Double, Enum, Integer, Interval, JSON, LargeBinary,"
    " Numeric(precision, scale), SmallInteger, String, Text, Time, Uuid, or ARRAY of one of them"
)
_REMEDIES: Final = {
    **dict.fromkeys(["NCHAR", "NVARCHAR", "CLOB"], "PostgreSQL does not have it; use columns.text(length)"),
    "CITEXT": "it ignores case on PostgreSQL only; use columns.text()",
    **dict.fromkeys(["BLOB", "BINARY", "VARBINARY"], "PostgreSQL does not have it; use sa.LargeBinary"),
    "DATETIME": "PostgreSQL does not have it; use columns.timestamp() or, without a time zone, sa.DateTime",
    "REAL": "it has single precision on some backends; use sa.Double",
}


def kind_of(column: sa.Column[Any]) -> Kind:
    """The kind of a declared column.

    :raises ValueError: for a type that not all backends have, or that means something else on one of them; says what
        to use instead.
    """
    declared = _on_postgresql(column.type)
    try:
        if _name(declared) in _STORED_OTHERWISE and isinstance(column.server_default, sa.DefaultClause):
            # What a database has in its own declaration is no value of the driver.
            raise ValueError("its server_default would be another value on each backend; use default=")
        return _held_otherwise(column, declared) or _kind(declared)
    except ValueError as error:
        name = type(declared).__name__
        raise ValueError(f"column {column.table.name}.{column.name} has the type {name}: {error}") from None


def _held_otherwise(column: sa.Column[Any], declared: Type) -> Kind | None:
    """The kind of a column that is held on SQLite as another program's table has it; None for all others.

    It is declared as ``sa.Numeric(…).with_variant(sa.REAL(), "sqlite")``, or as ``sa.DateTime().with_variant(…)`` of
    text of a length.
    """
    held = column.type._variant_mapping.get("sqlite")
    if isinstance(held, sa.Float) and isinstance(declared, sa.Numeric) and _name(declared) in _DECIMALS:
        return _number(declared)
    if isinstance(held, sa.String) and held.length is not None and _kind(declared) is LOCAL_TIMESTAMP:
        if held.length not in WRITTEN_TIMESTAMPS:
            raise ValueError(
                f"its text on SQLite must have {' or '.join(map(str, sorted(WRITTEN_TIMESTAMPS)))} characters"
            )
        return WRITTEN_TIMESTAMPS[held.length]
    return None


def _number(declared: sa.Numeric[Any]) -> Kind:
    if problem := _problem(declared):
        raise ValueError(problem)
    if (declared.precision or 0) > MAX_NUMBER_PRECISION:
        raise ValueError(f"a number on SQLite keeps at most {MAX_NUMBER_PRECISION} digits; leave the variant out")
    return decimals(declared.precision or 0, declared.scale or 0, NumberDecimals)


def _on_postgresql(declared: Type) -> Type:
    """What a type is on PostgreSQL, which is the strictest of all."""
    return declared._variant_mapping.get("postgresql", declared)


def _kind(declared: Type) -> Kind:
    name = _name(declared)
    if problem := _REMEDIES.get(name) or _problem(declared):
        raise ValueError(problem)
    if isinstance(declared, sa.Numeric) and name in _DECIMALS:
        return decimals(declared.precision or 0, declared.scale or 0)
    if isinstance(declared, sa.Enum) and name in _ENUMS:
        return enums(declared)
    if isinstance(declared, sa.DateTime) and not declared.timezone and name in _TIMESTAMPS:
        return LOCAL_TIMESTAMP
    if isinstance(declared, sa.ARRAY):
        return Arrays(_item(_on_postgresql(declared.item_type)))
    if name not in _KINDS:
        raise ValueError(f"which not all backends can store; use one of {_PORTABLE}")
    return _KINDS[name]


def _item(declared: Type) -> Kind:
    item = _kind(declared)
    if item is TEXT and getattr(declared, "length", None) is not None:
        raise ValueError("its items have a length, to which PostgreSQL cuts what they are compared with; use sa.Text")
    if item is CHARS:
        raise ValueError("its items have blanks at their end on some backends; use sa.Text")
    if item is JSON or isinstance(item, Arrays):
        raise ValueError("its items are documents or lists; use columns.json()")
    return item


def _problem(declared: Type) -> str | None:
    """What is wrong with the options of a type, and what to use instead; None if nothing is."""
    if _name(declared) == "CHAR" and getattr(declared, "length", None) is None:
        return "declare its length, or use columns.text()"
    if _name(declared) in _DECIMALS and not _has_digits(declared):
        return f"declare its digits, at most {MAX_PRECISION}: sa.Numeric(precision, scale) with 0 <= scale <= precision"
    if isinstance(declared, sa.Float) and (declared.precision or 53) <= _SINGLE_BITS:
        return _REMEDIES["REAL"]
    if isinstance(declared, sa.Time) and declared.timezone:
        return "its time zone has no day to belong to; use sa.Time or columns.timestamp()"
    if isinstance(declared, sa.DateTime | sa.Time) and getattr(declared, "precision", None) not in _WHOLE_PRECISION:
        return "some backends round it; leave out the precision"
    if _name(declared) in {"interval", "INTERVAL"} and not _is_whole_interval(declared):
        return "some backends would cut it; leave out all options of sa.Interval"
    if isinstance(declared, sa.ARRAY) and (declared.dimensions or 1) != 1:
        return "it has several dimensions, which not all backends have; use columns.json()"
    if isinstance(declared, sa.String) and (declared.collation or "").upper() in {"NOCASE", "RTRIM"}:
        return f"its collation {declared.collation} takes different texts for equal; use columns.text()"
    return None


def _name(declared: Type) -> str:
    return "interval" if isinstance(declared, sa.Interval) else declared.__visit_name__


def _has_digits(declared: Any) -> bool:
    return declared.precision is not None and 0 <= (declared.scale or 0) <= declared.precision <= MAX_PRECISION


def _is_whole_interval(declared: Any) -> bool:
    precision = getattr(declared, "second_precision", getattr(declared, "precision", None))
    whole = precision in _WHOLE_PRECISION and getattr(declared, "day_precision", None) is None
    return whole and getattr(declared, "native", True) and getattr(declared, "fields", None) is None
