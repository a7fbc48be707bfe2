"""The values of SQL text on PostgreSQL: what its lists are, and what its whole numbers become."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus
from psycopg.pq import Format
from psycopg.pq.abc import PGresult
from psycopg.types import TypeInfo
from psycopg.types.json import Jsonb

from database.core.errors import InvalidQuery
from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import INTEGER_MIN
from database.sql.many_rows import Values
from database.sql.texts.parameters import json_document

_types = psycopg.adapters.types
_NUMERIC = _types["numeric"].oid
_JSON = {_types["json"].oid, _types["jsonb"].oid}
_FIRST_MADE = 16_384
"""Lower numbers are those of PostgreSQL's own types."""
_ITEM = """
select case item.typtype when 'd' then item.typbasetype else 25 end::integer
from pg_catalog.pg_type as list join pg_catalog.pg_type as item on item.oid = list.typelem
where list.oid = %s and list.typcategory = 'A' and item.typtype in ('d', 'e')"""
"""The type that the items of an array are read as: a label as text, a domain as the type below it."""


def json_lists(connection: psycopg.Connection[Any], text: str, values: Values) -> Values:
    """The values, with a list as JSON where the server expects JSON; other lists are arrays, as psycopg sends them.

    It prepares the statement with lists of no type, and so may fail, which a transaction would not survive.

    :raises InvalidQuery: for a list that is no JSON.
    """
    query = PostgresQuery(Transformer(connection))
    query.convert(text, [None if isinstance(value, list) else value for value in values])
    prepared = connection.pgconn.prepare(b"", query.query, query.types)
    if prepared.status != ExecStatus.COMMAND_OK:
        return values
    expected = connection.pgconn.describe_prepared(b"")
    if expected.status != ExecStatus.COMMAND_OK:
        return values
    return [
        _as_json(value) if isinstance(value, list) and expected.param_type(place) in _JSON else value
        for place, value in enumerate(values)
    ]


def _as_json(value: list[Any]) -> Jsonb:
    try:
        return Jsonb(json_document(value))
    except ValueError as error:
        raise InvalidQuery(f"a parameter for JSON {error}") from None


class MadeTypes:
    """The arrays of types that a database has made, as enumerations and domains, which psycopg does not know.

    A connection asks for each of them once.
    """

    def __init__(self) -> None:
        self._asked: set[int] = set()
        self._arrays: set[int] = set()

    def lists(
        self, connection: psycopg.Connection[Any], result: PGresult | None, rows: list[tuple[Any, ...]]
    ) -> list[tuple[Any, ...]]:
        """The rows with these arrays as lists instead of text."""
        if result is None or not rows:
            return rows
        made = {place: oid for place in range(result.nfields) if (oid := result.ftype(place)) >= _FIRST_MADE}
        for oid in set(made.values()) - self._asked:
            self._ask(connection, oid)
        loading = Transformer(connection)
        loads = {place: loading.get_loader(oid, Format.TEXT).load for place, oid in made.items() if oid in self._arrays}
        if not loads:
            return rows
        return [
            tuple([
                loads[place](value.encode()) if place in loads and type(value) is str else value
                for place, value in enumerate(row)
            ])
            for row in rows
        ]  # fmt: skip

    def _ask(self, connection: psycopg.Connection[Any], oid: int) -> None:
        found = connection.execute(_ITEM, (oid,)).fetchone()
        self._asked.add(oid)
        if found is not None:
            TypeInfo("made", found[0], oid).register(connection)
            self._arrays.add(oid)


def whole_numbers(result: PGresult | None, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows with whole numbers as ``int`` in the columns that are computed, such as a sum of integers.

    PostgreSQL computes them as ``numeric``; columns of tables keep their type.
    """
    if result is None or not rows:
        return rows
    computed = {
        place for place in range(result.nfields) if result.ftype(place) == _NUMERIC and not result.ftable(place)
    }
    if not computed:
        return rows
    return [tuple([_whole(value) if place in computed else value for place, value in enumerate(row)]) for row in rows]


def _whole(value: Decimal | None) -> Decimal | int | None:
    if value is None or value.as_tuple().exponent != 0:
        return value
    number = int(value)
    # JSON writers have 64 bits for an integer, and all digits of a decimal.
    return number if INTEGER_MIN <= number <= INTEGER_MAX else value
