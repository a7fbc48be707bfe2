"""A table as SQL: its statements, and the driver's rows as records."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from operator import itemgetter
from typing import Any
from typing import TypeVar

from database.core.caching import ByteCache
from database.core.clock import LEAP
from database.core.clock import utc_now
from database.core.kinds.calendar import clock
from database.core.operations import Delete
from database.core.operations import Record
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import Where
from database.core.query.targets import target
from database.core.query.validation import GROUP_COUNT
from database.core.query.validation import checked_columns
from database.core.result import Result
from database.core.result import Row
from database.core.tables.columnar_rows import Columns
from database.core.tables.keys import checked_key
from database.core.tables.rows import complete_row
from database.core.tables.rows import replaced_columns
from database.core.tables.rows import touched_values
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import UNDECODABLE
from database.core.tables.unreadable import Unreadable
from database.core.tables.unreadable import unreadable
from database.sql.conditions import Shape
from database.sql.dialect import SqlDialect
from database.sql.record_maker import Decoder
from database.sql.record_maker import OneRecordMaker
from database.sql.record_maker import RecordMaker
from database.sql.record_maker import one_record_maker
from database.sql.record_maker import record_maker
from database.sql.row_writer import RowWriter
from database.sql.row_writer import row_writer
from database.sql.statements import Statement
from database.sql.statements import Statements

Form = TypeVar("Form")
Kept = TypeVar("Kept")

_NULL = frozenset({type(None)})
_MOST_SHAPES = 64


class Projection:
    """Some columns of a table, and what is known about reading them. Callers choose them, so that nothing is compiled
    before it is needed.

    :param decoders: as :func:`record_maker` takes them.
    :param types: as :func:`one_record_maker` takes them.
    :ivar by_key: the statement that reads them by key, once it was needed.
    """

    def __init__(
        self, columns: tuple[str, ...], decoders: Mapping[str, Decoder], types: Mapping[str, frozenset[type]]
    ) -> None:
        self.columns = columns
        self._decoders = decoders
        self._types = types
        self.by_key: str | None = None

    @cached_property
    def make(self) -> RecordMaker:
        """Makes the driver's rows into records."""
        return record_maker(self.columns, self._decoders)

    @cached_property
    def make_one(self) -> OneRecordMaker:
        """Checks the values of one row, and makes them into a record."""
        return one_record_maker(self.columns, self._decoders, self._types)


class SqlTable:
    """A table with its compiled statements and the values that need converting."""

    def __init__(self, schema: TableSchema, dialect: SqlDialect, cache: ByteCache[Statement]) -> None:
        self.schema = schema
        self.statements = Statements(schema, dialect, cache)
        kinds = {name: column.kind for name, column in schema.columns.items()}
        self._encoders = {name: found for name, kind in kinds.items() if (found := dialect.encoder(kind)) is not None}
        self._encode_many = dialect.encode_many
        self._decoders = {name: found for name, kind in kinds.items() if (found := dialect.decoder(kind)) is not None}
        types = {name: dialect.types_of(kind) for name, kind in kinds.items()}
        self._types = {name: found | _NULL for name, found in types.items() if found is not None}
        self.every_column = tuple(schema.columns)
        self._whole = self._projection_of(self.every_column)
        self.projections: dict[tuple[str, ...] | None, Projection] = {None: self._whole}
        # Statements by the names of what was given, which is less to look up than their own shapes are to make.
        self._upserts: dict[tuple[tuple[str, ...], ...], Statement] = {}
        self._writers: dict[tuple[str, ...], RowWriter | None] = {}
        self.text_key = schema.text_key
        self.numbered = schema.numbered
        self.timed = "updated_at" in schema.managed
        self._one_row = self.statements.shape(Where(schema.key[0], "eq", ""), [])
        self._keyed = None if schema.text_key and schema.key == ("id",) else schema
        self.echoes = not any(column.server_default for column in schema.columns.values())

    def result(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]], count: int | None = None) -> Result:
        """The driver's rows as records, apart from those that cannot be read."""
        return self.projected(self._projection(columns), rows, count)

    def projected(self, projection: Projection, rows: list[tuple[Any, ...]], count: int | None = None) -> Result:
        """As :meth:`result`, of a known projection."""
        try:
            # One row value by value, many column by column: each is the quicker one there.
            one = len(rows) == 1
            result = Result([projection.make_one(*rows[0])] if one else self._records(projection, rows), count)
        except UNDECODABLE:
            result = self._result_one_by_one(projection, rows, count)
        if self._keyed is not None:
            result.table = self._keyed
        return result

    def reading(self, columns: tuple[str, ...] | None) -> Projection:
        """The columns that a look-up returns, which are checked when they are first used; all of them for None.

        :raises InvalidQuery: for unknown, repeated or no columns.
        """
        return self._whole if columns is None else self._projection(checked_columns(self.schema, columns))

    def by_key(self, projection: Projection) -> str:
        """The statement that reads these columns of the record with a key."""
        text = projection.by_key = self.statements.get(projection.columns).text
        return text

    def locking(self, projection: Projection) -> str:
        """As :meth:`by_key`; the record is locked."""
        return self.statements.get(projection.columns, lock=True).text

    def _result_one_by_one(self, projection: Projection, rows: list[tuple[Any, ...]], count: int | None) -> Result:
        records: list[Row] = []
        bad: list[Unreadable] = []
        for place, row in enumerate(rows):
            try:
                records += self._records(projection, [row])
            except UNDECODABLE:
                bad.append(self._unreadable(projection.columns, row, place))
        return Result(records, count, unreadable=bad)

    def _unreadable(self, columns: tuple[str, ...], row: tuple[Any, ...], place: int) -> Unreadable:
        values: Row = {}
        bad = []
        for name, value in zip(columns, row, strict=False):
            try:
                values |= self._records(self._projection((name,)), [(value,)])[0]
            except UNDECODABLE:
                bad.append(name)
        return unreadable(self.schema, bad[0], values, place)

    def values(self, column: str, stored: Sequence[Any]) -> Sequence[Any]:
        """The driver's values of one column. Raises one of ``UNDECODABLE`` if one is not of the column's kind.

        Columns that are not declared have the values that the driver has.
        """
        if column not in self.schema.columns:
            return stored
        projection = self._projection((column,))
        return [record[column] for record in self._records(projection, [(value,) for value in stored])]

    def _records(self, projection: Projection, rows: Sequence[tuple[Any, ...]]) -> list[Row]:
        """The driver's rows as records. Raises one of ``UNDECODABLE`` if a value is none of its column's kind."""
        if self._types:
            self._check_types(projection, rows)
        return projection.make(rows)

    def _projection(self, columns: tuple[str, ...]) -> Projection:
        """That of checked columns."""
        if columns is self.every_column:
            return self._whole
        found = self.projections.get(columns)
        if found is None:
            found = self._projection_of(columns)
            _keep(self.projections, columns, found)
        return found

    def _projection_of(self, columns: tuple[str, ...]) -> Projection:
        return Projection(columns, self._decoders, self._types)

    def _check_types(self, projection: Projection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Raise ``TypeError`` unless the values are of their columns' types."""
        for place, name in enumerate(projection.columns):
            if (meant := self._types.get(name)) is not None:
                types = [*map(type, map(itemgetter(place), rows))]
                # To count what most of them are is quicker than to look each one up.
                if types and (types.count(types[0]) != len(types) or types[0] not in meant):
                    _require(meant, types)

    def groups(self, columns: tuple[str, ...], rows: list[tuple[Any, ...]], count: int | None) -> Result:
        """The driver's groups, whose last value is their number of rows, as records."""
        result = self.result(columns, [row[:-1] for row in rows], count)
        bad = {one.place for one in result.unreadable}
        # Apart from the columns, because the table may have a column of this name, whose values are others.
        for record, row in zip(result.rows, [row for place, row in enumerate(rows) if place not in bad], strict=True):
            record[GROUP_COUNT] = row[-1]
        return result

    def target(self, operation: Update | Delete, values: list[Any]) -> Shape | None:
        """The shape of the filter for the operation's rows; its encoded values are appended to ``values``."""
        plain = self.text_key and operation.id is not None
        if not plain or operation.where is not None or operation.expected_version is not None:
            return self.statements.shape(target(self.schema, operation), values)
        # Most changes are of one record, whose key is the whole filter.
        values.append(checked_key(self.schema, operation.id))
        return self._one_row

    def upsert(
        self, operation: Upsert, names: tuple[str, ...], row: Record, returning: tuple[str, ...], by: tuple[str, ...]
    ) -> tuple[Statement, list[Any]]:
        """The statement for a row of an upsert that updates existing rows, and the encoded values behind those of the
        row.

        :param names: the columns of the completed row.
        """
        if operation.verbatim:
            return self.statements.upsert(names, names, returning, operation.same, by), []
        touched = touched_values(self.schema, row) if self.schema.touched else {}
        believed = self.believed(row, utc_now()) if self.timed else []
        shape = (names, tuple(row), tuple(touched), returning, operation.same, by, operation.derived)
        statement = self._upserts.get(shape)
        if statement is None:
            replaced = replaced_columns(self.schema, names, row)
            changed = tuple(name for name in replaced if name not in operation.derived)
            statement = self.statements.upsert(
                names, changed, returning, operation.same, by, shape[2], timed=bool(believed)
            )
            _keep(self._upserts, shape, statement)
        return statement, [*self.encoded_values(touched), *believed] if touched or believed else []

    def believed(self, given: Mapping[str, Any], now: datetime) -> list[Any]:
        """The encoded time up to which a stored ``updated_at`` is believed; nothing if a change sets it as it is given.

        :param given: the values of the change.
        """
        if not self.timed or "updated_at" in given:
            return []
        return [self.encode("updated_at", clock(self.schema.columns["updated_at"].kind, now + LEAP))]

    def encoded(self, columns: Columns) -> Columns:
        """Checked columns in the form the driver binds."""
        encoded = dict(columns)
        for name in self._encoders.keys() & columns.keys():
            values, encoder = columns[name], self._encoders[name]
            if (encode_many := self._encode_many.get(self.schema.columns[name].kind)) is not None:
                encoded[name] = encode_many(values)
            else:
                encoded[name] = [None if value is None else encoder(value) for value in values]
        return encoded

    def written(self, row: Record) -> tuple[tuple[str, ...], Sequence[Any]]:
        """The columns of a new row, and their values in the form that the driver binds.

        :raises InvalidRow: if the row is not valid.
        """
        now, writer = utc_now(), self._writer(tuple(row)) if type(row) is dict else None
        if writer is not None and (values := writer.values(*row.values(), now)) is not None:
            return writer.columns, values
        completed = complete_row(self.schema, row, now)
        return tuple(completed), self.encoded_values(completed)

    def _writer(self, given: tuple[str, ...]) -> RowWriter | None:
        if given not in self._writers:
            # The first ones stay: callers choose the columns, and a new function costs as much as many rows. What names
            # no column is not kept.
            if len(self._writers) >= _MOST_SHAPES or not self.schema.columns.keys() >= {*given}:
                return None
            self._writers[given] = row_writer(self.schema, given, self._encoders)
        return self._writers[given]

    def encoded_values(self, row: Row) -> list[Any]:
        """Checked values of a row in the form the driver binds."""
        encoders = self._encoders
        if not encoders:
            return list(row.values())
        return [
            value if value is None or (encoder := encoders.get(name)) is None else encoder(value)
            for name, value in row.items()
        ]

    def encode(self, name: str, value: Any) -> Any:
        """One checked value in the form the driver binds."""
        encoder = self._encoders.get(name)
        return value if encoder is None or value is None else encoder(value)


def _keep(known: dict[Form, Kept], shape: Form, made: Kept) -> None:
    # Callers choose the columns, and could fill the memory with combinations of them.
    if len(known) >= _MOST_SHAPES:
        known.clear()
    known[shape] = made


def _require(meant: frozenset[type], types: Sequence[type]) -> None:
    if not meant.issuperset(types):
        raise TypeError
