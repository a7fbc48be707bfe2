"""The values of SQL text on PostgreSQL: what its lists are, and what its whole numbers become."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import psycopg
from psycopg._queries import PostgresQuery
from psycopg.adapt import Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.types.json import Jsonb

from database.core.errors import InvalidQuery
from database.core.kinds.values import INTEGER_MAX
from database.core.kinds.values import INTEGER_MIN
from database.sql.parameters import json_document
from database.sql.table import Values

_types = psycopg.adapters.types
_NUMERIC = _types["numeric"].oid
_JSON = {_types["json"].oid, _types["jsonb"].oid}


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
