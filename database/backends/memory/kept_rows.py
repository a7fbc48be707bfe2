"""The rows of an in-memory database, and what their tables' constraints say of each that is stored or removed.

JSON is stored encoded, so that callers cannot mutate stored values.
"""

from __future__ import annotations

from collections.abc import Container
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import orjson

from database.backends.memory.constraints import Reference
from database.backends.memory.constraints import constraints_of
from database.backends.memory.constraints import references
from database.backends.memory.constraints import referrers
from database.core.clock import not_before
from database.core.clock import utc_now
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.kinds.calendar import clock
from database.core.kinds.json_texts import compact
from database.core.kinds.values import JSON
from database.core.result import Row
from database.core.tables.keys import Key
from database.core.tables.keys import key_of
from database.core.tables.schema import Schema
from database.core.tables.schema import TableSchema
from database.core.tables.unreadable import ForeignValue


class KeptRows:
    """The rows of all tables by their keys.

    :param rows: by table; they are replaced and never mutated.
    """

    def __init__(self, schema: Schema, rows: dict[str, dict[Key, Row]] | None = None) -> None:
        self._schema = schema
        self._rows = rows if rows is not None else {table.name: {} for table in schema}

    def _remove(self, schema: TableSchema, found: list[Row]) -> None:
        """Delete rows with those that depend on them. :raises ConstraintViolated: if others refer to one."""
        gone = self._with_dependents(schema, found)
        # Those that refer to others first.
        for table, row in reversed(gone):
            self._erase(table, key_of(table, row))
        for table, row in gone:
            self._refuse_if_referenced(table, row)

    def _with_dependents(self, schema: TableSchema, found: list[Row]) -> list[tuple[TableSchema, Row]]:
        """These rows and those that are deleted with them, after references that are set to null are null."""
        gone = {(schema.name, key_of(schema, row)): (schema, row) for row in found}
        loose: list[tuple[Reference, Key]] = []
        waiting = list(gone.values())
        while waiting:
            parent, record = waiting.pop()
            for reference in referrers(self._schema, parent.name):
                if reference.action not in {"CASCADE", "SET NULL"}:
                    continue
                table = reference.table
                for row in self._referring(reference, record):
                    place = table.name, key_of(table, row)
                    if reference.action == "SET NULL":
                        loose.append((reference, place[1]))
                    elif place not in gone:
                        gone[place] = table, shown(table, row, tuple(row))
                        waiting.append(gone[place])
        for reference, key in loose:
            if (reference.table.name, key) not in gone:
                self._loosen(reference, key)
        return list(gone.values())

    def _referring(self, reference: Reference, record: Row) -> list[Row]:
        """The rows that refer to a record."""
        wanted = tuple([record[name] for name in reference.others])
        return [row for row in self._rows[reference.table.name].values() if reference.to(row) == wanted]

    def _loosen(self, reference: Reference, key: Key) -> None:
        """Set a reference to null."""
        table = reference.table
        for column in reference.columns:
            if not table.columns[column].nullable:
                raise ConstraintViolated(
                    f"column {column!r} of table {table.name!r} must not be null",
                    kind=ConstraintKind.NOT_NULL,
                    constraint=f"{table.name}.{column}",
                )
        row = self._rows[table.name][key]
        times = (
            {"updated_at": clock(table.columns["updated_at"].kind, utc_now())} if "updated_at" in table.managed else {}
        )
        none = dict.fromkeys(reference.columns)
        self._store(table, self._changed(table, shown(table, row, tuple(row)), {**none, **times}), None)

    @staticmethod
    def _changed(schema: TableSchema, row: Row, values: Row, given: Container[str] = ()) -> Row:
        """A row with other values; those that are not ``given`` are made by the data layer."""
        changed = row | values
        if schema.versioned:
            changed["version"] = _next_version(row["version"])
        if "updated_at" in schema.managed and "updated_at" not in given and isinstance(row["updated_at"], datetime):
            changed["updated_at"] = not_before(values["updated_at"], row["updated_at"])
        return changed

    def _store(self, schema: TableSchema, row: Row, index: int | None) -> None:
        """Put a row in its place. :raises ConstraintViolated: if a constraint does not hold; names it.

        :param index: of the row in its operation.
        """
        self._check_conditions(schema, row, index)
        self._check_unique(schema, row, index)
        self._check_references(schema, row, index)
        self._put(schema, row)

    def _put(self, schema: TableSchema, row: Row) -> None:
        json_columns = {name for name, column in schema.columns.items() if column.kind is JSON}
        stored = {name: _encoded(value) if name in json_columns else _own(value) for name, value in row.items()}
        self._rows[schema.name][key_of(schema, row)] = stored

    def _erase(self, schema: TableSchema, key: Key) -> None:
        del self._rows[schema.name][key]

    def _exists(self, table: str, key: Key) -> bool:
        return key in self._rows[table]

    @staticmethod
    def _check_conditions(schema: TableSchema, row: Row, index: int | None) -> None:
        for name, holds in constraints_of(schema).checks:
            if holds(row) is False:
                raise ConstraintViolated(
                    f"the check constraint {name} of table {schema.name!r} does not hold",
                    kind=ConstraintKind.CHECK,
                    constraint=name,
                    row=index,
                )

    def _check_unique(self, schema: TableSchema, row: Row, index: int | None) -> None:
        for names, where in constraints_of(schema).unique:
            values = [row[name] for name in names]
            if None in values or (where is not None and where(row) is not True):
                continue
            key = key_of(schema, row)
            for known, other in self._rows[schema.name].items():
                same = known != key and [other[name] for name in names] == values
                if same and (where is None or where(other) is True):
                    raise _duplicate(f"{schema.name}.{','.join(names)}", index)

    def _check_references(self, schema: TableSchema, row: Row, index: int | None) -> None:
        for reference in references(schema):
            wanted = reference.to(row)
            itself = reference.other == schema.name and wanted == tuple([row[name] for name in reference.others])
            if wanted is not None and not itself and not self._has(reference, wanted):
                raise ConstraintViolated(
                    f"{reference.name} refers to a record of {reference.other} that does not exist",
                    kind=ConstraintKind.FOREIGN_KEY,
                    constraint=reference.name,
                    row=index,
                )

    def _has(self, reference: Reference, wanted: tuple[Any, ...]) -> bool:
        """Whether there is a record with these values of the columns that a foreign key refers to."""
        other = self._schema.table(reference.other)
        if reference.others == other.key:
            return self._exists(other.name, wanted if len(wanted) > 1 else wanted[0])
        rows = self._rows[other.name].values()
        return any(tuple([row[name] for name in reference.others]) == wanted for row in rows)

    def _refuse_if_referenced(self, schema: TableSchema, row: Row) -> None:
        for reference in referrers(self._schema, schema.name):
            if self._referring(reference, row):
                raise ConstraintViolated(
                    f"records of {reference.table.name} refer to this one; delete them first",
                    kind=ConstraintKind.FOREIGN_KEY,
                    constraint=reference.name,
                )

    def _refuse_known_key(self, schema: TableSchema, row: Row, index: int) -> None:
        if key_of(schema, row) in self._rows[schema.name]:
            raise _duplicate(f"{schema.name}.{','.join(schema.key)}", index)


def _duplicate(constraint: str, index: int | None) -> ConstraintViolated:
    message = f"a record with the same {constraint} exists already"
    return ConstraintViolated(message, kind=ConstraintKind.UNIQUE, constraint=constraint, row=index)


def shown(schema: TableSchema, row: Row, columns: Iterable[str]) -> Row:
    """A copy of a stored row for the caller, with JSON decoded."""
    kinds = schema.columns
    return {name: decoded(row[name]) if kinds[name].kind is JSON else _own(row[name]) for name in columns}


def _next_version(version: Any) -> int:
    # As on SQLite, a value of another type, written by another program, counts as 0.
    return version + 1 if type(version) is int else 1


def _own(value: Any) -> Any:
    """The value, a list as a copy, which nobody else can change."""
    return value.copy() if type(value) is list else value


def _encoded(value: Any) -> Any:
    return value if value is None or isinstance(value, ForeignValue) else compact(orjson.dumps(value))


def decoded(value: Any) -> Any:
    """A stored value of a column of JSON."""
    return orjson.loads(value) if isinstance(value, bytes) else value
