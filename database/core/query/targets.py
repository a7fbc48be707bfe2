"""The filter that selects the rows of an update or a delete."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from database.core.errors import Conflict
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import InvalidQuery
from database.core.errors import PermissionDenied
from database.core.kinds.ranges import Ranged
from database.core.kinds.values import INTEGER_MAX
from database.core.operations import Delete
from database.core.operations import Update
from database.core.operations import Upsert
from database.core.query.filters import And
from database.core.query.filters import Filter
from database.core.query.filters import Or
from database.core.query.filters import Where
from database.core.query.fitting import fitted
from database.core.query.validation import MAX_IN
from database.core.query.validation import MAX_PARTS
from database.core.query.validation import checked_filter
from database.core.tables.keys import Key
from database.core.tables.keys import can_exist
from database.core.tables.keys import checked_key
from database.core.tables.keys import parts_of
from database.core.tables.schema import TableSchema
from database.core.tables.uniqueness import unique_sets


def target(schema: TableSchema, operation: Update | Delete) -> Filter:
    """Return the checked filter that selects the operation's rows.

    :raises InvalidQuery: if the operation has neither id nor filter, so that no whole table is changed by omission; or
        if it has an expected version but no id, or its table has no versions.
    """
    if operation.id is None:
        where = checked_filter(schema, operation.where)
        if where is None:
            raise InvalidQuery(f"{operation.kind} needs an id or a filter")
        if operation.expected_version is not None:
            raise InvalidQuery("expected_version can only be given together with an id")
        return where
    row = one_row(schema, operation)
    if operation.expected_version is None:
        return row
    if type(operation.expected_version) is not int or not 0 <= operation.expected_version <= INTEGER_MAX:
        raise InvalidQuery("expected_version must be an integer of 0 or more")
    if not schema.versioned:
        raise InvalidQuery(f"table {schema.name!r} has no column 'version'; leave out expected_version")
    return And((row, _equal(schema, "version", operation.expected_version)))


def one_row(schema: TableSchema, operation: Update | Delete) -> Filter:
    """Return the checked filter for the operation's id and its ``where``, regardless of the expected version."""
    one = key_filter(schema, checked_key(schema, operation.id))
    where = checked_filter(schema, operation.where)
    return one if where is None else And((one, where))


def key_filter(schema: TableSchema, key: Key) -> Filter:
    """The filter for the record with a checked key."""
    if schema.text_key:
        return Where(schema.key[0], "eq", key)
    parts = [_equal(schema, name, part) for name, part in zip(schema.key, parts_of(schema, key), strict=True)]
    return parts[0] if len(parts) == 1 else And(tuple(parts))


def _equal(schema: TableSchema, column: str, value: Any) -> Where:
    kind = schema.columns[column].narrower
    return fitted(kind, column, "eq", value) if isinstance(kind, Ranged) else Where(column, "eq", value)


def key_filters(schema: TableSchema, keys: Iterable[Key]) -> Iterator[Filter]:
    """Yield the filters that together select the records with these checked keys."""
    parts = [parts_of(schema, key) for key in keys if can_exist(schema, key)]
    return with_values(schema.key, list(zip(*parts, strict=True))) if parts else iter(())


def conflict_columns(schema: TableSchema, operation: Upsert) -> tuple[str, ...]:
    """Return the columns by which an upsert finds existing rows.

    :raises InvalidQuery: unless they are the key, or declared unique together.
    """
    if not operation.on_conflict:
        return schema.key
    if operation.verbatim and operation.on_conflict != schema.key:
        raise InvalidQuery("on_conflict cannot be combined with verbatim; leave out one of them")
    known = _unique_sets(schema.source)
    # Most are given as they are declared.
    names = operation.on_conflict if operation.on_conflict in known else _reordered(schema, operation, known)
    for name in names:
        if not schema.columns[name].kind.comparable:
            raise InvalidQuery("on_conflict cannot name a JSON column")
    return names


def _reordered(schema: TableSchema, operation: Upsert, known: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    names = tuple([schema.column(name).name for name in operation.on_conflict])
    if sorted(names) not in map(sorted, known):
        choice = "; ".join(", ".join(columns) for columns in known)
        raise InvalidQuery(
            f"on_conflict of table {schema.name!r} must be one of its unique sets of columns ({choice}), not"
            f" {', '.join(names)}"
        )
    return names


@lru_cache(maxsize=512)
def _unique_sets(table: sa.Table) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys(unique_sets(table)))


def with_values(columns: Sequence[str], values: Sequence[Sequence[Any]]) -> Iterator[Filter]:
    """Yield the filters that together select the rows with one of several combinations of values, none of them null.

    :param values: for each column its values, one per combination.
    """
    combinations = [found for found in dict.fromkeys(zip(*values, strict=True)) if None not in found]
    if len(columns) == 1:
        for start in range(0, len(combinations), MAX_IN):
            yield Where(columns[0], "in", tuple([value for (value,) in combinations[start : start + MAX_IN]]))
        return
    most = MAX_PARTS // (2 * (len(columns) + 1))
    for start in range(0, len(combinations), most):
        some = combinations[start : start + most]
        equal = [
            And(tuple([Where(name, "eq", value) for name, value in zip(columns, one, strict=True)])) for one in some
        ]
        # The first condition says nothing more, but it can be looked up in an index.
        yield And((Where(columns[0], "in", tuple(dict.fromkeys(one[0] for one in some))), Or(tuple(equal))))


def not_same(schema: TableSchema, operation: Upsert) -> PermissionDenied:
    """The error for an upsert whose existing row differs in one of the ``same`` columns."""
    by = ", ".join(operation.on_conflict or schema.key)
    message = f"a record of table {operation.table!r} with this {by} already exists and belongs to another user"
    return PermissionDenied(message, operation=operation.kind)


def dropped(table: str, problem: str, row: int | None) -> ConstraintViolated:
    """The error for a write that a trigger or a rule of the database has dropped.

    :param problem: what it did.
    """
    return ConstraintViolated(
        f"a trigger or a rule of table {table!r} in the database {problem}; nothing was written",
        kind=ConstraintKind.CHECK,
        constraint=table,
        row=row,
    )


def version_conflict(operation: Update | Delete, current: Mapping[str, Any]) -> Conflict:
    """The error for a row that no longer has the expected version."""
    return Conflict(
        f"the record has version {current['version']}, not {operation.expected_version}", operation=operation.kind
    )
