"""The operations of the backend interface: what every backend is asked to do, as immutable values."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

from database.core.immutable import immutable
from database.core.query.filters import Filter
from database.core.query.filters import Order
from database.core.query.sql_text import certainly_reads

Record = Mapping[str, Any]
SqlParams = Sequence[Any] | Mapping[str, Any] | None


@immutable
class Operation:
    """Base of all operations.

    ``kind`` names it in metrics and errors; ``reads`` says that it changes nothing; ``idempotent`` that
    sending it twice leaves what sending it once does, so that it may be repeated when an answer is lost;
    ``exactly_once`` that the backend recognises the repetition, so that its judgement speaks for every attempt.
    """

    kind: ClassVar[str] = "operation"
    reads: ClassVar[bool] = False
    exactly_once: ClassVar[bool] = False

    @property
    def idempotent(self) -> bool:
        return self.reads


@immutable
class Ping(Operation):
    """Ask the backend for a sign of life."""

    kind: ClassVar[str] = "ping"
    reads: ClassVar[bool] = True


@immutable
class Get(Operation):
    """One row by its id, or none.

    :param lock: keep others from changing or locking the row until the transaction ends, and wait for who does so now.
        For transactions only.
    """

    kind: ClassVar[str] = "get"
    reads: ClassVar[bool] = True
    table: str
    id: str
    columns: tuple[str, ...] | None = None
    lock: bool = False


@immutable
class Select(Operation):
    """The portable query; rows come in ``order``, with the id as last key.

    :param count: also count all rows that match, without limit and offset.
    :param group: instead of the rows that match, return one row for each combination of these columns' values,
        null among them, with the number of its rows under ``count``. Columns, order, limit, offset and the
        total count are those of the groups; the columns of ``group`` are the last keys, ascending, nulls last.
    :param lock: as of :class:`Get`, for all rows that are returned.
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
    """New rows, all or none. ``id``, ``version`` and times are filled in where the table has them."""

    kind: ClassVar[str] = "insert"
    table: str
    rows: Sequence[Record]
    returning: bool = True


@immutable
class Upsert(Operation):
    """Rows inserted, or on an existing id updated with the columns that are given.

    :param verbatim: the rows are stored exactly as given, with version and times of their own, and replace existing
        ones as a whole; what they lack is filled in as for new rows.
    :param same: columns that all rows give, and in which a row that exists must equal the one given for it, else
        ``PermissionDenied``.
    """

    kind: ClassVar[str] = "upsert"
    table: str
    rows: Sequence[Record]
    returning: bool = True
    verbatim: bool = False
    same: tuple[str, ...] = ()

    @property
    def idempotent(self) -> bool:
        return all("id" in row for row in self.rows)


@immutable
class Update(Operation):
    """New values for one row by ``id``, or for all rows that match ``where``; with both, for the row if it matches.

    :param expected_version: with ``id``: only if the row still has this version, else ``Conflict``.
    """

    kind: ClassVar[str] = "update"
    table: str
    values: Record
    id: str | None = None
    where: Filter | None = None
    expected_version: int | None = None
    returning: bool = True


@immutable
class Delete(Operation):
    """One row by ``id``, or all rows that match ``where``, taken away; with both, the row if it matches.

    The rows are returned on demand.
    """

    kind: ClassVar[str] = "delete"
    table: str
    id: str | None = None
    where: Filter | None = None
    expected_version: int | None = None
    returning: bool = False

    @property
    def idempotent(self) -> bool:
        return self.id is not None and self.expected_version is None


@immutable
class Sql(Operation):
    """SQL text for backends that speak it; placeholders ``%s``, ``%(name)s``, ``?`` or ``:name``.

    :ivar limited: whether it is refused if it answers with many rows, as a caller's text is.
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
    """A stored function by name."""

    kind: ClassVar[str] = "call"
    function: str
    arguments: Record


@immutable
class QueryCall(Call):
    """A stored function that changes nothing."""

    reads: ClassVar[bool] = True


@immutable
class Batch(Operation):
    """Several operations, all or none, in order."""

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
    """Whether ``operation`` changes nothing, so that it may be repeated or answered elsewhere.

    SQL text counts as reading where :func:`~database.core.query.sql_text.certainly_reads` says so, and as writing
    elsewhere.
    """
    if operation.reads:
        # A lock keeps others waiting, and is of use only where the writes go.
        return not getattr(operation, "lock", False)
    if isinstance(operation, Sql):
        return certainly_reads(operation.text)
    return isinstance(operation, Batch) and all(reads_only(part) for part in operation.operations)
