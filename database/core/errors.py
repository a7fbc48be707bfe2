"""Every error the data layer raises, in one tree.

::

    DataError
    ├── CallerMissing           a call in an app that nobody said the caller of; the program is wrong
    ├── BackendError            the backend failed; the request may be right
    │   ├── Unavailable         nothing was applied (also a builtin ConnectionError)
    │   │   ├── CircuitOpen     refused here, nothing was sent
    │   │   ├── ConnectFailed   no connection could be made
    │   │   └── PoolExhausted   no free connection or permit in time
    │   ├── TimedOut            no answer in time, nothing was applied (also a builtin TimeoutError)
    │   │   └── Stopped         the work itself took too long and was ended at the deadline; the backend is well
    │   ├── OutcomeUnknown      a write was sent and its answer lost: it may have been applied
    │   ├── Throttled           the backend asked to slow down
    │   ├── SchemaMismatch      a declared table or column is missing there
    │   └── CredentialsRefused  the application's own key or password is not accepted
    ├── UnreadableRecord        a stored value is none of its column's kind; the backend and the request are well
    └── RequestError            the request was wrong or lost a race; the backend is well
        ├── NotFound            (also a builtin KeyError)
        ├── Conflict            the row does not have the version that the caller expected
        │   └── SerializationFailure  another transaction came first; the same work may succeed if it begins anew
        ├── ConstraintViolated  unique, foreign key, not null or check
        ├── InvalidQuery        unknown column, wrong type, malformed filter
        │   └── InvalidRow      a row that does not fit its table; says which row and column
        ├── Unsupported         a capability that the backend does not have
        ├── PermissionDenied    the access rules refuse this identity
        └── TransactionError    the transaction is over, aborted or belongs to another backend

A driver's error is always the ``__cause__``. Messages never contain credentials or row values.
"""

from __future__ import annotations

from enum import Enum


class ConstraintKind(Enum):
    """What a constraint asks of a row."""

    UNIQUE = "unique"
    FOREIGN_KEY = "foreign key"
    NOT_NULL = "not null"
    CHECK = "check"


class Outcome(Enum):
    """What is known about a write after its call ended."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


class DataError(Exception):
    """Base of the tree.

    :param message: for people; free of secrets and of row values.
    :param backend: the adapter's name, where one was involved.
    :param operation: the operation's kind, such as ``"select"``.
    :param retry_after: seconds the backend asked to wait, if it did.
    """

    retryable = False
    outcome = Outcome.NOT_APPLIED

    def __init__(
        self,
        message: str,
        *,
        backend: str | None = None,
        operation: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.backend = backend
        self.operation = operation
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class CallerMissing(DataError):
    """A call in an app of which nobody said in whose name it is made; nothing was sent."""

    def __init__(self, *, backend: str | None = None, operation: str | None = None) -> None:
        super().__init__(
            "No caller is known in this thread. Carry the request's caller into it with in_callers_name(function), or "
            "make the application's own calls inside `with as_application():` (import both from database).",
            backend=backend,
            operation=operation,
        )


class BackendError(DataError):
    """The backend failed; the same request may succeed later or elsewhere."""


class Unavailable(BackendError, ConnectionError):
    """The backend could not be reached; nothing was applied."""

    retryable = True


class CircuitOpen(Unavailable):
    """The circuit breaker refused the call; nothing was sent."""

    retryable = False


class ConnectFailed(Unavailable):
    """No connection could be made."""


class PoolExhausted(Unavailable):
    """No connection or permit became free within the time limit."""

    retryable = False


class TimedOut(BackendError, TimeoutError):
    """No answer within the time limit, and certainly nothing was applied."""

    retryable = True


class Stopped(TimedOut):
    """The work took longer than its time limit and was ended; who was asked is well, and nothing was applied."""


class OutcomeUnknown(BackendError):
    """A write was sent and its answer lost. It may or may not have been applied."""

    outcome = Outcome.UNKNOWN


def lost_answer(
    reason: str, *, reads: bool, late: bool = False, retry_after: float | None = None
) -> Unavailable | TimedOut | OutcomeUnknown:
    """The error for a request that was sent and whose answer did not come, or is none: a write may have been applied.

    :param reason: what became of the answer.
    :param reads: whether the request certainly changed nothing, so that there is no doubt.
    :param late: whether time ran out.
    """
    if not reads:
        return OutcomeUnknown(f"the write was not confirmed: {reason}", retry_after=retry_after)
    return (TimedOut if late else Unavailable)(reason, retry_after=retry_after)


class Throttled(BackendError):
    """The backend refused because of its load; nothing was applied."""

    retryable = True


class UnreadableRecord(DataError):
    """A record holds a value, written by another program, that is none of its column's kind.

    Neither the backend's failure nor the request's fault. The record is readable again once the column has a good
    value; it can be given one by an update, and be deleted.

    :param table: None in an answer to SQL text.
    :param record_id: None where it is not known.
    """

    def __init__(self, table: str | None, record_id: str | None, column: str, reason: str) -> None:
        which = "a record" if record_id is None else f"record {record_id[:64]!r}"
        where = "the statement's answer" if table is None else f"table {table!r}"
        super().__init__(f"{which} of {where} cannot be read: column {column!r}: {reason}")
        self.table = table
        self.record_id = record_id
        self.column = column


class RequestError(DataError):
    """The request cannot be fulfilled as it is; repeating it unchanged does not help."""


class NotFound(RequestError, KeyError):
    """There is no such record, table or function."""


class Conflict(RequestError):
    """The row or the snapshot that the request built on has changed."""


class SerializationFailure(Conflict):
    """The transaction cannot be one of a series, because another one came first. Nothing of it was applied.

    Unlike any other conflict it says nothing about what the caller expected: the same work, begun anew with what is
    there now, may succeed.
    """


class ConstraintViolated(RequestError):
    """The backend's schema refused the rows.

    :param kind: which kind of constraint it is, where the backend tells it.
    :param constraint: the constraint's name, or ``table.column``, where the backend tells it.
    :param row: the zero-based index of the refused row in a multi-row insert, where known.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: ConstraintKind | None = None,
        constraint: str | None = None,
        row: int | None = None,
        backend: str | None = None,
        operation: str | None = None,
    ) -> None:
        super().__init__(message, backend=backend, operation=operation)
        self.kind = kind
        self.constraint = constraint
        self.row = row


class InvalidQuery(RequestError):
    """The query or the values do not fit the declared table."""


class InvalidRow(InvalidQuery):
    """A row does not fit its table.

    :param row: zero-based index in the list that was given.
    :param column: the column at fault.
    """

    def __init__(self, message: str, *, row: int, column: str | None) -> None:
        super().__init__(message)
        self.row = row
        self.column = column


class Unsupported(RequestError):
    """The backend lacks a capability; raised before any I/O.

    :param capability: its name, a field of :class:`~database.core.capabilities.Capabilities`.
    """

    def __init__(self, capability: str, *, backend: str | None = None, detail: str = "") -> None:
        super().__init__(detail or f"{backend or 'this backend'} does not support {capability}", backend=backend)
        self.capability = capability


class SchemaMismatch(BackendError):
    """The database lacks a table or a column that is declared; it waits for a migration."""


def lacking(what: str) -> SchemaMismatch:
    """The error for a declared table or column that a database does not have.

    :param what: such as ``the table orders``.
    """
    return SchemaMismatch(
        f"the database lacks {what}; its migrations are not up to date: run `flask db upgrade`,"
        " which says what to do if no migration makes it"
    )


class CredentialsRefused(BackendError):
    """The backend does not accept the application's own key or password; the message names the setting."""


class PermissionDenied(RequestError):
    """The tables' access rules, or the backend's own, refuse this identity."""


class TransactionError(RequestError):
    """The transaction is over, aborted, or belongs to another backend."""
