"""How the portable values and conditions are spelled on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from datetime import datetime
from datetime import tzinfo
from typing import Any
from uuid import UUID

import orjson
import psycopg
import sqlalchemy as sa
from psycopg import Connection
from psycopg.abc import AdaptContext
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap
from psycopg.adapt import Loader
from psycopg.adapt import Transformer
from psycopg.pq import Format
from psycopg.types.datetime import TimestamptzBinaryLoader
from psycopg.types.datetime import TimestamptzLoader
from psycopg.types.json import set_json_dumps
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader
from sqlalchemy.dialects import postgresql

from database.core.tables.values import FLOAT
from database.core.tables.values import JSON
from database.core.tables.values import TEXT
from database.core.tables.values import TIMESTAMP
from database.core.tables.values import finite
from database.sql.dialect import SqlDialect
from database.sql.placeholders import Style

_MOST_PREPARED = 200
"""Statements that each side of a connection keeps; :data:`~database.backends.postgres.connection.LONGEST_PREPARED` says
how long one may be."""

_LARGE = 1e16
"""From here on a whole double is written with an exponent, which jsonb would read as an integer."""


def encode_json(value: Any) -> str:
    """JSON text whose doubles are still doubles after jsonb has stored them as decimals."""
    return orjson.dumps(_with_exact_floats(value)).decode()


def _with_exact_floats(value: Any) -> Any:
    if isinstance(value, float):
        return orjson.Fragment(f"{int(value)}.0") if abs(value) >= _LARGE else value
    if isinstance(value, dict):
        return {key: _with_exact_floats(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_with_exact_floats(part) for part in value]
    return value


def decode_timestamp(value: datetime) -> datetime:
    """The moment in UTC, whatever zone the connection speaks."""
    return value.astimezone(UTC)


class _UuidAsText(Loader):
    """Ids are text everywhere, also where the column is a uuid."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        return str(UUID(bytes=bytes(data)))


class _UtcLoader(TimestamptzLoader):
    """A moment as text; a loader that does not know the connection answers in UTC."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid)


class _UtcBinaryLoader(TimestamptzBinaryLoader):
    """A moment as binary, in UTC for the same reason."""

    def __init__(self, oid: int, context: AdaptContext | None = None) -> None:
        super().__init__(oid)


class Unread:
    """What stands in a row for a value that Python has not, so that it costs its own row and not the whole answer."""

    def astimezone(self, _: tzinfo) -> datetime:
        """As of a moment. :raises ValueError: always."""
        raise ValueError("no moment in the years 1 to 9999")


_UNREAD = Unread()
_UNLOADABLE = (psycopg.DataError, ValueError, OverflowError)


class _Forgiving(Loader):
    """Loads as the connection does, and puts ``_UNREAD`` where that fails."""

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
    """A connection's way of loading values in which one that Python has not becomes :class:`Unread`."""

    def __init__(self, connection: Connection[Any]) -> None:
        self.connection = connection
        self.adapters = AdaptersMap(connection.adapters)
        for name in ("timestamptz", "json", "jsonb"):
            oid = self.adapters.types[name].oid
            for form in (Format.TEXT, Format.BINARY):
                if (strict := connection.adapters.get_loader(oid, form)) is not None:
                    members = {"strict": strict, "format": form}
                    self.adapters.register_loader(oid, type("_Forgiving", (_Forgiving,), members))


def unread_column(connection: Connection[Any], cursor: psycopg.Cursor[Any]) -> int:
    """The place of the first column of a result with a value that Python has not."""
    found = cursor.pgresult
    assert found is not None, "its rows were being fetched"
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
    """A JSON document. :raises ValueError: for one with numbers that Python has not, or nested too deep."""
    if value is _UNREAD:
        raise ValueError("no JSON document that can be read")
    return value


def configure(connection: Connection[Any]) -> None:
    """Make a new connection load and dump values as the tables mean them."""
    set_json_loads(orjson.loads, connection)
    set_json_dumps(encode_json, connection)
    connection.adapters.register_loader("uuid", _UuidAsText)
    connection.adapters.register_loader("uuid", TextLoader)
    connection.prepared_max = _MOST_PREPARED


def configure_pooled(connection: Connection[Any]) -> None:
    """The same for a connection to a pooler, which may speak any zone: in some the last moments overflow."""
    configure(connection)
    connection.adapters.register_loader("timestamptz", _UtcLoader)
    connection.adapters.register_loader("timestamptz", _UtcBinaryLoader)


def _ascii(operand: Any) -> Any:
    # Under the "C" collation ILIKE folds A to Z and nothing else, wherever the server runs.
    return sa.collate(operand, "C")


def _member(column: Any, param: Callable[[Any], Any]) -> Any:
    textual = isinstance(column.type, sa.String)
    # A cast to the column's own type of text would cut values off at its length.
    return column == sa.any_(param(postgresql.ARRAY(sa.Text() if textual else column.type)))


DIALECT = SqlDialect(
    name="postgresql",
    compiler=postgresql.psycopg.dialect(paramstyle="format"),  # type: ignore[no-untyped-call]
    insert=postgresql.insert,
    style=Style.FORMAT,
    member=_member,
    bound_list=list,
    encode={JSON: encode_json},
    decode={TIMESTAMP: decode_timestamp, JSON: decode_json, FLOAT: finite},
    operators={
        ("like", TEXT): lambda column, operand: sa.cast(column, sa.Text()).like(sa.cast(operand, sa.Text())),
        ("ilike", TEXT): lambda column, operand: _ascii(sa.cast(column, sa.Text())).ilike(sa.cast(operand, sa.Text())),
        ("contains", TEXT): lambda column, operand: (
            sa.func.strpos(sa.cast(column, sa.Text()), sa.cast(operand, sa.Text())) > sa.literal_column("0")
        ),
        ("contains", JSON): lambda column, operand: sa.cast(column, postgresql.JSONB()).contains(
            sa.cast(operand, postgresql.JSONB())
        ),
    },
    explicit_collation="C",
)
