"""The portable values and conditions in PostgreSQL's SQL."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from datetime import UTC
from datetime import date
from datetime import datetime
from datetime import time
from datetime import timedelta
from datetime import tzinfo
from functools import partial
from typing import Any
from typing import Final
from uuid import UUID

import orjson
import psycopg
import sqlalchemy as sa
from psycopg import Connection
from psycopg.abc import AdaptContext
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap
from psycopg.adapt import Loader
from psycopg.adapt import PyFormat
from psycopg.adapt import Transformer
from psycopg.pq import Format
from psycopg.types.datetime import IntervalBinaryLoader
from psycopg.types.datetime import IntervalLoader
from psycopg.types.datetime import TimestamptzBinaryLoader
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import Jsonb
from psycopg.types.json import set_json_dumps
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader
from sqlalchemy.dialects import postgresql

from database.backends.postgres.cursor import PreparedCursor
from database.backends.postgres.many_rows import TextListDumper
from database.backends.postgres.many_rows import copy_texts
from database.core.kinds.arrays import Arrays
from database.core.kinds.binary import Bytes
from database.core.kinds.calendar import Date
from database.core.kinds.calendar import LocalTimestamp
from database.core.kinds.calendar import SecondTimestamp
from database.core.kinds.calendar import SpacedTimestamp
from database.core.kinds.calendar import Time
from database.core.kinds.chars import without_blanks
from database.core.kinds.decimals import Decimals
from database.core.kinds.decimals import NumberDecimals
from database.core.kinds.decimals import finite_decimal
from database.core.kinds.durations import Durations
from database.core.kinds.enums import is_native_enum
from database.core.kinds.json_texts import JsonText
from database.core.kinds.json_texts import in_text
from database.core.kinds.values import FLOAT
from database.core.kinds.values import JSON
from database.core.kinds.values import TEXT
from database.core.kinds.values import TIMESTAMP
from database.core.kinds.values import exactly
from database.core.kinds.values import finite
from database.sql.dialect import Expression
from database.sql.dialect import SqlDialect
from database.sql.many_rows import Values
from database.sql.sequences import PASS
from database.sql.texts.parameters import Parameters
from database.sql.texts.parameters import json_document
from database.sql.texts.placeholders import Style

_MOST_PREPARED = 200
"""Prepared statements kept per connection; :data:`~database.backends.postgres.connection.LONGEST_PREPARED` limits their
length."""

_LARGE = 1e16
"""From this value on, a whole double is written with an exponent, which jsonb would store as an integer."""


_EXPONENT = b"e+"
"""What orjson writes for such a number; some texts have it, too."""


def encode_json(value: Any) -> str:
    """JSON text whose doubles remain doubles after jsonb has stored them as decimals."""
    known = type(value) is JsonText
    text = value if known else orjson.dumps(value)
    # Few documents have such a number, and to look through each of them would cost several times as much; and one
    # character is found many times faster than two.
    if b"+" in text and _EXPONENT in text:
        text = orjson.dumps(_with_exact_floats(orjson.loads(bytes(text)) if known else value))
    return text.decode()


def _with_exact_floats(value: Any) -> Any:
    if isinstance(value, float):
        return orjson.Fragment(f"{int(value)}.0") if abs(value) >= _LARGE else value
    if isinstance(value, dict):
        return {key: _with_exact_floats(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_exact_floats(part) for part in value]
    return value


def decode_timestamp(value: datetime) -> datetime:
    """The timestamp in UTC, whatever the connection's time zone."""
    return value.astimezone(UTC)


class _UuidAsText(Loader):
    """Loads a uuid as text, because ids are text everywhere."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return str(UUID(bytes=bytes(data)))


class _JsonbLoader(Loader):
    """Loads a document from binary, which is text behind the number of the format, without a copy of it."""

    format = Format.BINARY

    def load(self, data: Buffer) -> Any:
        return orjson.loads(memoryview(data)[1:])


class _UtcLoader(TimestamptzLoader):
    """Loads a timestamp from text as UTC: without the connection, psycopg's loader does not know its time zone."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid)


class _UtcBinaryLoader(TimestamptzBinaryLoader):
    """Loads a timestamp from binary as UTC, in the same way."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid)


class _CharsLoader(TextLoader):
    """Loads text that is filled up with blanks without them."""

    def load(self, data: Buffer) -> Any:
        return without_blanks(str(super().load(data)))


_MONTHS: Final = "the interval has months or years, which are no certain length of time"


class _ExactInterval(IntervalLoader):
    """Loads an interval from text, unless it has months: psycopg's loader would count 30 days for each."""

    def load(self, data: Buffer) -> timedelta:
        if b"mon" in bytes(data) or b"year" in bytes(data):
            raise psycopg.DataError(_MONTHS)
        return super().load(data)


class _ExactBinaryInterval(IntervalBinaryLoader):
    """Loads an interval from binary in the same way."""

    def load(self, data: Buffer) -> timedelta:
        if bytes(data)[-4:] != b"\0\0\0\0":
            raise psycopg.DataError(_MONTHS)
        return super().load(data)


class Unread:
    """Placeholder for a value that Python cannot represent, so that only its own row is unreadable."""

    def astimezone(self, _: tzinfo) -> datetime:
        """Stands in for ``datetime.astimezone``. :raises ValueError: always."""
        raise ValueError("the timestamp lies outside the years 1 to 9999")


_UNREAD = Unread()
_UNLOADABLE = (psycopg.DataError, ValueError, OverflowError)


class _Forgiving(Loader):
    """Loads values like the connection's own loader, and returns ``_UNREAD`` where that fails."""

    strict: type[Any]

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid, context)
        self._load = self.strict(oid, context).load

    def load(self, data: Buffer) -> Any:
        try:
            return self._load(data)
        except _UNLOADABLE:
            return _UNREAD


class Forgiving:
    """A connection's adapters, with loaders that return :class:`Unread` for a value that Python cannot represent."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self.adapters = AdaptersMap(connection.adapters)
        for name in ("timestamptz", "timestamp", "json", "jsonb", "date", "time", "interval"):
            oid = self.adapters.types[name].oid
            for form in (Format.TEXT, Format.BINARY):
                if (strict := connection.adapters.get_loader(oid, form)) is not None:
                    members = {"strict": strict, "format": form}
                    self.adapters.register_loader(oid, type("_Forgiving", (_Forgiving,), members))


def fetch_all(cursor: PreparedCursor, text: str, values: Values, prepare: bool) -> list[tuple[Any, ...]]:
    """The rows of a statement; a value that Python cannot represent is an :class:`Unread`."""
    result = cursor.run(text, values, prepare)
    try:
        return cursor.load(result)
    except (psycopg.DataError, ValueError):
        loading = Transformer(Forgiving(cursor.connection))
        loading.set_pgresult(result)
        return loading.load_rows(0, result.ntuples, tuple)


def unread_column(connection: Connection[Any], cursor: psycopg.Cursor[Any]) -> int:
    """The index of the first column of a result with a value that Python cannot represent."""
    found = cursor.pgresult
    assert found is not None, "the rows were being fetched from it"
    loading = Transformer(connection)
    for column in range(found.nfields):
        load = loading.get_loader(found.ftype(column), Format(found.fformat(column))).load
        try:
            for row in range(found.ntuples):
                if (value := found.get_value(row, column)) is not None:
                    load(value)
        except _UNLOADABLE:
            return column
    raise AssertionError("all values can be loaded")


def decode_json(value: Any) -> Any:
    """A JSON document. :raises ValueError: if it is nested too deep or has a number that Python cannot represent."""
    if value is _UNREAD:
        raise ValueError("the JSON document is nested too deep or has a number that Python cannot represent")
    return value


def configure(connection: Connection[Any]) -> None:
    """Configure how a new connection loads and dumps values."""
    set_json_loads(orjson.loads, connection)
    set_json_dumps(encode_json, connection)
    connection.adapters.register_dumper(list, TextListDumper)
    connection.adapters.register_loader("jsonb", _JsonbLoader)
    connection.adapters.register_loader("uuid", _UuidAsText)
    connection.adapters.register_loader("uuid", TextLoader)
    connection.adapters.register_loader("bpchar", _CharsLoader)
    connection.adapters.register_loader("bpchar", type("_BinaryChars", (_CharsLoader,), {"format": Format.BINARY}))
    connection.adapters.register_loader("interval", _ExactInterval)
    connection.adapters.register_loader("interval", _ExactBinaryInterval)
    connection.prepared_max = _MOST_PREPARED


def configure_pooled(connection: Connection[Any]) -> None:
    """Like :func:`configure`, for a connection to a pooler, whose time zone is unknown: in some zones the latest
    timestamps would overflow.
    """
    configure(connection)
    connection.adapters.register_loader("timestamptz", _UtcLoader)
    connection.adapters.register_loader("timestamptz", _UtcBinaryLoader)


def _can_dump(kind: type) -> bool:
    try:
        psycopg.adapters.get_dumper(kind, PyFormat.AUTO)
    except psycopg.ProgrammingError:
        return False
    return True


def _ascii(operand: Any) -> Any:
    # Under the "C" collation ILIKE folds only A to Z, whatever the server's locale.
    return sa.collate(operand, "C")


def _member(column: Any, param: Callable[[Any], Any]) -> Any:
    textual = isinstance(column.type, sa.String) and not is_native_enum(column.type)
    # Not the column's own text type, because a cast to varchar(n) would truncate the values.
    return column == sa.any_(param(postgresql.ARRAY(sa.Text() if textual else column.type)))


_COMPILER: Final = postgresql.psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]


def _rows_of(table: sa.Table, columns: Sequence[str], value: Any) -> sa.FromClause:
    """The rows of a JSON array of objects, with the types that the table's columns have, whatever they are."""
    row: Expression = sa.literal_column(f"NULL::{_COMPILER.identifier_preparer.format_table(table)}")
    return sa.func.json_populate_recordset(row, sa.cast(value, sa.JSON)).table_valued(*columns, name="given")


DIALECT = SqlDialect(
    name="postgresql",
    compiler=_COMPILER,
    insert=postgresql.insert,
    style=Style.FORMAT,
    has_schemas=True,
    load_text=copy_texts,
    rows_of=_rows_of,
    # A uuid as text fits into columns of both types. What a list is, is asked of the server.
    parameters=Parameters({UUID: str, dict: lambda value: Jsonb(json_document(value))}, takes=_can_dump),
    member=_member,
    bound_list=list,
    encode={JSON: encode_json},
    encode_many={JSON: partial(in_text, write=encode_json, unless=_EXPONENT)},
    decode={TIMESTAMP: decode_timestamp, JSON: decode_json, FLOAT: finite},
    operators={
        ("like", TEXT): lambda column, operand: sa.cast(column, sa.Text()).like(sa.cast(operand, sa.Text())),
        ("ilike", TEXT): lambda column, operand: _ascii(sa.cast(column, sa.Text())).ilike(sa.cast(operand, sa.Text())),
        ("contains", TEXT): lambda column, operand: (
            sa.func.strpos(sa.cast(column, sa.Text()), sa.cast(operand, sa.Text())) > sa.literal_column("0")
        ),
        ("contains", Arrays): lambda column, operand: column.op("@>", is_comparison=True)(
            sa.cast(operand, column.type)
        ),
        ("contained_by", Arrays): lambda column, operand: column.op("<@", is_comparison=True)(
            sa.cast(operand, column.type)
        ),
        ("contains", JSON): lambda column, operand: sa.cast(column, postgresql.JSONB()).contains(
            sa.cast(operand, postgresql.JSONB())
        ),
    },
    explicit_collation="C",
    native={
        Decimals: finite_decimal,
        NumberDecimals: finite_decimal,
        Date: exactly(date),
        Time: exactly(time),
        **dict.fromkeys((LocalTimestamp, SpacedTimestamp, SecondTimestamp), exactly(datetime)),
        Bytes: exactly(bytes),
        Durations: exactly(timedelta),
    },
    default_keyword=True,
    has_enums=True,
    has_arrays=True,
    pass_number=PASS.format(relation="%s::regclass", column="%s", key="%s"),
    overrides=True,
)
