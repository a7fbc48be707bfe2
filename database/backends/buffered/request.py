"""What a transaction sends when it commits: one request, carried out by the backend as a whole or not at all.

The backend looks the key up first, so that a request whose answer was lost can be sent again: a known key is
answered without doing anything. Then it compares what the transaction has read with what is there now, takes the
steps, checks the constraints, runs the calls, and stores the key in the same transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from typing import ClassVar
from typing import Literal

import orjson

from database.core.context import Identity
from database.core.immutable import immutable
from database.core.operations import Call
from database.core.operations import Operation
from database.core.operations import Select
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Not
from database.core.query.filters import Or
from database.core.query.filters import Order
from database.core.query.filters import Where
from database.core.result import Row
from database.core.tables.schema import Column
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import ForeignValue

Encode = Callable[[Column, Any], Any]
"""Brings a checked value into the backend's form; JSON columns are given as they are."""

Wire = dict[str, Any]

Stored = Mapping[str, Any]
"""A row as it came, and not as it would be written: a moment or a number may be spelled otherwise."""

LARGEST_LIMIT = 2**53
"""No table has so many rows, and beyond it a double is not exact."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as the transaction has read it.

    :ivar row: in the backend's own form; None if there was none.
    :ivar party: who has read it, as a place in :attr:`CommitRequest.parties`.
    """

    table: str
    id: str
    row: Stored | None
    party: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """A query that the transaction has made, and the rows it got in the backend's own form, against rows that come in
    later.
    """

    query: Select
    rows: tuple[Stored, ...]
    party: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one record.

    :ivar row: the whole new row; None for a deletion.
    :ivar party: who has made it, as a place in :attr:`CommitRequest.parties`.
    """

    kind: Literal["insert", "update", "delete"]
    table: str
    id: str
    row: Row | None
    party: int = 0


@immutable
class CommitRequest(Operation):
    """Everything a transaction has read and changed. Carried out at most once, however often it is sent.

    :ivar key: identifies the request.
    :ivar calls: functions to run in the same transaction after the steps, on backends that have them.
    :ivar parties: in whose names it has read and written, where the backend tells them apart. If it is one, all is
        theirs, whatever number it has.
    :ivar joined: functions of the backend that were not called, because the transaction has done what they do.
    """

    kind: ClassVar[str] = "commit"
    exactly_once: ClassVar[bool] = True
    key: str
    seen: tuple[Seen, ...]
    ranges: tuple[Range, ...]
    steps: tuple[Step, ...]
    calls: tuple[Call, ...] = ()
    parties: tuple[Identity | None, ...] = ()
    joined: tuple[str, ...] = ()

    @property
    def idempotent(self) -> bool:
        return True


@immutable
class Validation(CommitRequest):
    """A commit of a transaction that has changed nothing: whether all that it has read is there at one moment."""

    kind: ClassVar[str] = "validate"
    reads: ClassVar[bool] = True


class Encoder:
    """Writes requests and queries in the form that the backends' own functions read.

    :param schema: the tables.
    :param encode: the backend's form of a value.
    """

    def __init__(self, schema: Schema, encode: Encode) -> None:
        self._schema = schema
        self._encode = encode

    def commit(self, request: CommitRequest, actor: str | None) -> Wire:
        """A commit with its key and fingerprint; with several parties, each part has its party's number.

        :param actor: the subject on whose behalf it is made.
        """
        body: dict[str, list[Wire]] = {
            "reads": [
                {"table": seen.table, "id": seen.id, "expected": None if seen.row is None else dict(seen.row)}
                for seen in request.seen
            ],
            "ranges": [self._range(part) for part in request.ranges],
            "steps": [
                {"kind": step.kind, "table": step.table, "id": step.id, "row": self._changed(step)}
                for step in request.steps
            ],
        }
        if len(request.parties) > 1:
            parts: tuple[Sequence[Seen | Range | Step], ...] = request.seen, request.ranges, request.steps
            for wires, of_kind in zip(body.values(), parts, strict=True):
                for wire, part in zip(wires, of_kind, strict=True):
                    wire["party"] = part.party
        return {"key": request.key, "fingerprint": fingerprint(body), "actor": actor, **body}

    def select(self, query: Select) -> Wire:
        """A checked query's table, filter, order and the last row wanted, as ``limit``."""
        table = self._schema.table(query.table)
        limit = None if query.limit is None else min(query.limit + (query.offset or 0), LARGEST_LIMIT)
        where = None if query.where is None else self.filter(table, query.where)
        return {"table": query.table, "where": where, "order": [_order(key) for key in query.order], "limit": limit}

    def row(self, table: TableSchema, row: Mapping[str, Any]) -> Wire:
        """A row with its values in the backend's form."""
        return {name: self._value(table.columns[name], value) for name, value in row.items()}

    def filter(self, table: TableSchema, where: Filter) -> Wire:
        """A checked filter as nested objects."""
        match where:
            case And(parts) | Or(parts):
                kind = "and" if isinstance(where, And) else "or"
                return {"op": kind, "parts": [self.filter(table, part) for part in parts]}
            case Not(part):
                return {"op": "not", "part": self.filter(table, part)}
            case Where(column, "in", values):
                encoded = [self._value(table.columns[column], value) for value in values]
                return {"op": "in", "column": column, "values": encoded}
            case Where(column, "is_null" | "like" | "ilike" as operator, value):
                return {"op": operator, "column": column, "value": value}
            case Where(column, operator, value):
                return {"op": operator, "column": column, "value": self._value(table.columns[column], value)}
        raise TypeError(where)

    def _range(self, part: Range) -> Wire:
        return {**self.select(part.query), "expected": [dict(row) for row in part.rows]}

    def _changed(self, step: Step) -> Wire | None:
        return None if step.row is None else self.row(self._schema.table(step.table), step.row)

    def _value(self, column: Column, value: Any) -> Any:
        if type(value) is ForeignValue:
            return value.wire
        return None if value is None else self._encode(column, value)


def fingerprint(body: object) -> str:
    """A digest that tells two requests with one key apart; values that JSON does not know count as their text."""
    return hashlib.sha256(orjson.dumps(body, default=str, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _order(key: Order) -> Wire:
    return {"column": key.column, "descending": key.descending, "nulls_first": key.nulls_first}
