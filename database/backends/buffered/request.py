"""The commit of a buffered transaction: one request that the backend executes atomically.

The backend looks up the idempotency key first, so a request whose response was lost can be sent again: for a known key
it does nothing and reports success. Otherwise it compares what the transaction has read with the present rows, applies
the steps, checks the constraints, runs the calls, and stores the key in the same transaction.
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
from database.core.tables.keys import Key
from database.core.tables.keys import address
from database.core.tables.keys import parts_of
from database.core.tables.schema import Column
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import ForeignValue

Encode = Callable[[Column, Any], Any]
"""Converts a checked value to the backend's form; values of JSON columns are passed unchanged."""

Wire = dict[str, Any]

Stored = Mapping[str, Any]
"""A row as received; a timestamp or number may be spelled differently from how it would be written."""

PENDING = ForeignValue("pending")
"""In a new row: the default of a column, which the backend makes at the commit."""

RESET = ForeignValue("reset")
"""In a changed row: the column gets that default."""

LARGEST_LIMIT = 2**53
"""Larger limits are clamped: no table has so many rows, and a double is not exact beyond it."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A record as the transaction has read it.

    :ivar id: its key.
    :ivar row: in the backend's own form; None if the record did not exist.
    :ivar party: index of the reader in :attr:`CommitRequest.parties`.
    """

    table: str
    id: Key
    row: Stored | None
    party: int = 0


@dataclass(frozen=True, slots=True)
class Range:
    """A query of the transaction and its rows in the backend's own form; detects phantom rows at commit."""

    query: Select
    rows: tuple[Stored, ...]
    party: int = 0


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one record.

    :ivar id: its key.
    :ivar row: the complete new row; None for a deletion. ``PENDING`` and ``RESET`` stand for values of the backend.
    :ivar party: index of the author in :attr:`CommitRequest.parties`.
    :ivar made: whether the backend has made the key of this new record.
    """

    kind: Literal["insert", "update", "delete"]
    table: str
    id: Key
    row: Row | None
    party: int = 0
    made: bool = False


@immutable
class Reservation(Operation):
    """Take numbers for the keys of new records, before the commit that contains them. The ``value`` of its result lists
    them, in ascending order.

    No other reservation gets the same ones. Those that are not used are lost, as with a sequence, so it may be
    repeated.

    :ivar count: how many, at least 1.
    """

    kind: ClassVar[str] = "reserve"
    # If its answer is lost, nothing was written.
    reads: ClassVar[bool] = True
    table: str
    count: int


@immutable
class CommitRequest(Operation):
    """All reads and changes of a transaction. Applied at most once, however often it is sent.

    :ivar key: the idempotency key.
    :ivar calls: functions to run in the same transaction after the steps, on backends that have functions.
    :ivar parties: the identities that have read and written, where the backend distinguishes them. A single party owns
        every part, whatever its ``party`` number.
    :ivar joined: functions of the backend that the transaction has executed itself as operations, instead of calling.
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
    """The commit of a transaction without changes: checks that all its reads are valid at one point in time."""

    kind: ClassVar[str] = "validate"
    reads: ClassVar[bool] = True


class Encoder:
    """Encodes requests and queries as arguments of the functions that Isthmus installs in a backend.

    :param schema: the tables.
    :param encode: converts a value to the backend's form.
    :param keys: whether records are named by their keys, too, and not by their addresses alone.
    """

    def __init__(self, schema: Schema, encode: Encode, *, keys: bool = False) -> None:
        self._schema = schema
        self._keys = keys
        self._encode = encode

    def commit(self, request: CommitRequest, actor: str | None, *, stated: bool = False) -> Wire:
        """A commit with its key and fingerprint.

        :param actor: the subject on whose behalf the commit is made.
        :param stated: whether each part carries its party's number, and a step whether its key was made.
        """
        body: dict[str, list[Wire]] = {
            "reads": [
                {**self._named(seen), "expected": None if seen.row is None else dict(seen.row)} for seen in request.seen
            ],
            "ranges": [self._range(part) for part in request.ranges],
            "steps": [self._step(step) for step in request.steps],
        }
        if stated:
            parts: tuple[Sequence[Seen | Range | Step], ...] = request.seen, request.ranges, request.steps
            for wires, of_kind in zip(body.values(), parts, strict=True):
                for wire, part in zip(wires, of_kind, strict=True):
                    # A single party owns every part.
                    wire["party"] = part.party if len(request.parties) > 1 else 0
                    if isinstance(part, Step) and part.made:
                        wire["made"] = True
        return {"key": request.key, "fingerprint": fingerprint(body), "actor": actor, **body}

    def select(self, query: Select) -> Wire:
        """A checked query's table, filter and order; ``limit`` includes the rows that the offset skips."""
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

    def _named(self, part: Seen | Step) -> Wire:
        """What names a record: its table and address, and its key where the backend needs it."""
        table = self._schema.table(part.table)
        named: Wire = {"table": part.table, "id": address(table, part.id)}
        if self._keys and table.key != ("id",):
            parts = zip(table.key, parts_of(table, part.id), strict=True)
            named["key"] = {name: self._value(table.columns[name], value) for name, value in parts}
        return named

    def _range(self, part: Range) -> Wire:
        return {**self.select(part.query), "expected": [dict(row) for row in part.rows]}

    def _step(self, step: Step) -> Wire:
        """A step: what it stores, the columns that get their defaults, and whether its key was given where the backend
        makes them.
        """
        wire: Wire = {"kind": step.kind, **self._named(step), "row": None}
        if step.row is not None:
            given = {name: value for name, value in step.row.items() if value is not PENDING and value is not RESET}
            wire["row"] = self.row(self._schema.table(step.table), given)
            if resets := [name for name, value in step.row.items() if value is RESET]:
                wire["resets"] = resets
        if self._keys and step.kind == "insert" and not step.made and self._schema.table(step.table).numbered:
            wire["given"] = True
        return wire

    def _value(self, column: Column, value: Any) -> Any:
        if type(value) is ForeignValue:
            return value.wire
        return None if value is None else self._encode(column, value)


def fingerprint(body: object) -> str:
    """A digest that distinguishes two requests with the same key; values unknown to JSON are hashed as text."""
    return hashlib.sha256(orjson.dumps(body, default=str, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _order(key: Order) -> Wire:
    return {"column": key.column, "descending": key.descending, "nulls_first": key.nulls_first}
