"""The operations of the backend interface, as immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import field
from typing import Any
from typing import ClassVar

from database.core.immutable import immutable
from database.core.kinds.json_texts import JsonText
from database.core.query.filters import Filter
from database.core.query.filters import Order
from database.core.query.sql_text import certainly_reads

Record = Mapping[str, Any]
SqlParams = Sequence[Any] | Mapping[str, Any] | None


@immutable
class Operation:
    """Base of all operations.

    ``kind`` is its name in metrics and errors. ``reads`` means that it changes nothing; ``idempotent`` that sending it
    twice has the same effect as once, so that it may be retried after a lost response; ``exactly_once`` that the
    backend recognises a retry, so that its response holds for every attempt.
    """

    kind: ClassVar[str] = "operation"
    reads: ClassVar[bool] = False
    exactly_once: ClassVar[bool] = False

    @property
    def idempotent(self) -> bool:
        return self.reads


@immutable
class Ping(Operation):
    """Check that the backend responds."""

    kind: ClassVar[str] = "ping"
    reads: ClassVar[bool] = True


@immutable
class Get(Operation):
    """One row by its key, or none.

    :param id: the value of the key's column; of a key of several columns a sequence or a mapping of their values; or
        the record's address, as :mod:`database.core.tables.keys` defines it.
    :param lock: lock the row against other transactions' changes and locks until this one ends, and wait for their
        locks. Only inside a transaction.
    """

    kind: ClassVar[str] = "get"
    reads: ClassVar[bool] = True
    table: str
    id: Any
    columns: tuple[str, ...] | None = None
    lock: bool = False


@immutable
class Select(Operation):
    """The portable query; rows come in ``order``, with the table's key as the last sort key.

    :param count: also count all matching rows, regardless of limit and offset.
    :param group: instead of the matching rows, return one row for each combination of values of these columns,
        including null, with the number of its rows under ``count``. Columns, order, limit, offset and the total count
        then refer to the groups; the columns of ``group`` are the last sort keys, ascending, nulls last.
    :param lock: as for :class:`Get`, for all returned rows.
    """

    kind: ClassVar[str] = "select"
    reads: ClassVar[bool] = True
    table: str
    columns: tuple[str, ...] | None = None
    where: Filter | None = None
    order: tuple[Order, ...] = ()
    limit: int | None = None
    offset: int | None = None
    count: bool = False
    group: tuple[str, ...] = ()
    lock: bool = False


@immutable
class Insert(Operation):
    """Insert rows, all or none. A key that the table makes, ``version`` and times are filled in if it has them.

    :param verbatim: copies of whole rows: also with keys that the database always makes, and without the values of
        columns that it computes.
    :param prepared: what ``DatabaseAdapter.prepared`` has made of the rows.
    """

    kind: ClassVar[str] = "insert"
    table: str
    rows: Sequence[Record]
    returning: bool = True
    verbatim: bool = False
    prepared: object = field(default=None, repr=False, compare=False)


@immutable
class Upsert(Operation):
    """Insert rows; a row whose key exists updates the given columns of the existing row, which keeps its key.

    :param verbatim: store the rows exactly as given, with their own versions and times, replacing existing rows as a
        whole; missing columns are filled in as for new rows.
    :param same: columns, present in all rows, whose values an existing row must already have; otherwise
        ``PermissionDenied``.
    :param on_conflict: the columns by which a row is found to exist, instead of the key; they must be declared unique
        together. A row with a null in one of them does not exist yet.
    :param ignore_duplicates: leave existing rows as they are; only the inserted ones are returned and counted.
    :param texts: of a single row, JSON columns and their values as the caller had them written when it checked them.
        They need not be checked and written again where they are stored as text.
    :param derived: columns whose values follow from those by which a row is found to exist. An existing row has them
        already, so that a database need not set them, and look for their places in its indexes.
    """

    kind: ClassVar[str] = "upsert"
    table: str
    rows: Sequence[Record]
    returning: bool = True
    verbatim: bool = False
    same: tuple[str, ...] = ()
    on_conflict: tuple[str, ...] = ()
    ignore_duplicates: bool = False
    texts: Sequence[tuple[str, JsonText]] = ()
    derived: tuple[str, ...] = ()

    @property
    def idempotent(self) -> bool:
        if self.ignore_duplicates:
            # Sent again, it would find its own rows, and answer that it had inserted none.
            return False
        if self.on_conflict:
            return all(row.get(name) is not None for row in self.rows for name in self.on_conflict)
        return all("id" in row for row in self.rows)


@immutable
class Update(Operation):
    """Update one row by its key ``id``, or all rows that match ``where``; with both, the row if it matches.

    :param expected_version: with ``id``: only if the row still has this version, otherwise ``Conflict``.
    """

    kind: ClassVar[str] = "update"
    table: str
    values: Record
    id: Any = None
    where: Filter | None = None
    expected_version: int | None = None
    returning: bool = True


@immutable
class Delete(Operation):
    """Delete one row by its key ``id``, or all rows that match ``where``; with both, the row if it matches."""

    kind: ClassVar[str] = "delete"
    table: str
    id: Any = None
    where: Filter | None = None
    expected_version: int | None = None
    returning: bool = False

    @property
    def idempotent(self) -> bool:
        return self.id is not None and self.expected_version is None


@immutable
class Sql(Operation):
    """SQL text; placeholders ``%s``, ``%(name)s``, ``?`` or ``:name``.

    :ivar limited: whether it is refused if it returns too many rows; set for callers' text.
    """

    kind: ClassVar[str] = "sql"
    text: str
    params: SqlParams = None
    limited: bool = False

    @property
    def idempotent(self) -> bool:
        return reads_only(self)


@immutable
class Call(Operation):
    """Call a stored function by name."""

    kind: ClassVar[str] = "call"
    function: str
    arguments: Record


@immutable
class QueryCall(Call):
    """Call a stored function that changes nothing."""

    reads: ClassVar[bool] = True


@immutable
class Batch(Operation):
    """Several operations, carried out in order, all or none."""

    kind: ClassVar[str] = "batch"
    operations: tuple[Operation, ...]

    @property
    def idempotent(self) -> bool:
        return all(operation.idempotent for operation in self.operations)


def locks(operation: Operation) -> bool:
    """Whether ``operation`` locks rows that it reads."""
    if isinstance(operation, Batch):
        return any(locks(part) for part in operation.operations)
    return bool(getattr(operation, "lock", False))


def reads_only(operation: Operation) -> bool:
    """Whether ``operation`` changes nothing, so that it may be retried or sent to a fallback.

    SQL text counts as reading only if :func:`~database.core.query.sql_text.certainly_reads` says so.
    """
    if operation.reads:
        # A lock blocks other transactions, and is useful only on the database that takes the writes.
        return not getattr(operation, "lock", False)
    if isinstance(operation, Sql):
        return certainly_reads(operation.text)
    return isinstance(operation, Batch) and all(reads_only(part) for part in operation.operations)
