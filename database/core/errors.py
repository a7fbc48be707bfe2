"""The exceptions of the data layer, in one tree.

::

    DataError
    ├── CallerMissing           a call in an app without a caller's identity: a programming error
    ├── BackendError            the backend failed; the request may be valid
    │   ├── Unavailable         nothing was applied (also a builtin ConnectionError)
    │   │   ├── CircuitOpen     refused by the circuit breaker, nothing was sent
    │   │   ├── ConnectFailed   no connection could be opened
    │   │   └── PoolExhausted   no connection or permit became free in time
    │   ├── TimedOut            no response in time, nothing was applied (also a builtin TimeoutError)
    │   │   └── Stopped         the statement was stopped at its deadline; the backend is healthy
    │   ├── OutcomeUnknown      a write was sent and its response lost: it may have been applied
    │   ├── Throttled           the backend limits the rate of requests
    │   ├── SchemaMismatch      the database lacks a declared table or column
    │   └── CredentialsRefused  the backend refuses the application's own key or password
    ├── UnreadableRecord        a stored value does not have its column's type; backend and request are fine
    └── RequestError            the request is invalid or lost a race; the backend is healthy
        ├── NotFound            (also a builtin KeyError)
        ├── Conflict            the row does not have the version that the caller expected
        │   └── SerializationFailure  a concurrent transaction came first; retrying the whole transaction may succeed
        ├── ConstraintViolated  unique, foreign key, not null or check
        ├── InvalidQuery        unknown column, wrong type, malformed filter
        │   ├── InvalidRow      a row that does not fit its table; names the row and the column
        │   └── SeveralRows     a query that must select one row selects more
        ├── Unsupported         the backend lacks a capability
        ├── PermissionDenied    the access rules refuse this identity
        └── TransactionError    the transaction has ended, was aborted or belongs to another backend

The driver's exception is always the ``__cause__``. Messages never contain credentials or row values.
"""

from __future__ import annotations

from enum import Enum


class ConstraintKind(Enum):
    """The kind of a violated constraint."""

    UNIQUE = "unique"
    FOREIGN_KEY = "foreign key"
    NOT_NULL = "not null"
    CHECK = "check"


class Outcome(Enum):
    """Whether a write was applied, as far as is known after its call."""

    APPLIED = "applied"
    NOT_APPLIED = "not_applied"
    UNKNOWN = "unknown"


class DataError(Exception):
    """Base of the tree.

    :param message: for people; without secrets and row values.
    :param backend: the adapter's name; None if no adapter was involved.
    :param operation: the operation's kind, such as ``"select"``.
    :param retry_after: seconds after which the backend allows a retry; None if it gave none.
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
    """A call in an app without a caller's identity; nothing was sent."""

    def __init__(self, *, backend: str | None = None, operation: str | None = None) -> None:
        super().__init__(
            "No caller is known in this thread. Pass the request's caller to the thread with "
            "in_callers_name(function), or make the application's own calls inside `with as_application():` "
            "(import both from database).",
            backend=backend,
            operation=operation,
        )


class BackendError(DataError):
    """The backend failed; the same request may succeed later or on another backend."""


class Unavailable(BackendError, ConnectionError):
    """The backend could not be reached; nothing was applied."""

    retryable = True


class CircuitOpen(Unavailable):
    """The circuit breaker refused the call; nothing was sent."""

    retryable = False


class ConnectFailed(Unavailable):
    """No connection could be opened."""


class PoolExhausted(Unavailable):
    """No connection or permit became free within the time limit."""

    retryable = False


class TimedOut(BackendError, TimeoutError):
    """No response within the time limit; nothing was applied."""

    retryable = True


class Stopped(TimedOut):
    """A statement exceeded its time limit and was stopped. The backend is healthy; nothing was applied."""


class OutcomeUnknown(BackendError):
    """A write was sent and its response lost. It may or may not have been applied."""

    outcome = Outcome.UNKNOWN


def lost_answer(
    reason: str, *, reads: bool, late: bool = False, retry_after: float | None = None
) -> Unavailable | TimedOut | OutcomeUnknown:
    """The error for a request that was sent and whose response was lost or is invalid: a write may have been applied.

    :param reason: why there is no response.
    :param reads: whether the request certainly changes nothing, so that its outcome is known.
    :param late: whether the deadline passed.
    """
    if not reads:
        return OutcomeUnknown(f"the write was not confirmed: {reason}", retry_after=retry_after)
    return (TimedOut if late else Unavailable)(reason, retry_after=retry_after)


class Throttled(BackendError):
    """The backend refused the request because of its load or a rate limit; nothing was applied."""

    retryable = True


class UnreadableRecord(DataError):
    """A record holds a value, written by another program, that does not have its column's type.

    Neither the backend nor the request is at fault. The record becomes readable again when the column gets a valid
    value; it can be updated and deleted.

    :param table: None in a result of SQL text.
    :param record_id: None if it is not known.
    """

    def __init__(self, table: str | None, record_id: str | None, column: str, reason: str) -> None:
        which = "a record" if record_id is None else f"record {record_id[:64]!r}"
        where = "the statement's result" if table is None else f"table {table!r}"
        super().__init__(f"{which} of {where} cannot be read: column {column!r}: {reason}")
        self.table = table
        self.record_id = record_id
        self.column = column


class RequestError(DataError):
    """The request cannot be carried out; repeating it unchanged does not help."""


class NotFound(RequestError, KeyError):
    """The record, table or function does not exist."""


class Conflict(RequestError):
    """The row or the snapshot that the request was based on has changed."""


class SerializationFailure(Conflict):
    """The transaction cannot be serialised, because a concurrent one committed first. Nothing of it was applied.

    Unlike other conflicts it does not contradict the caller's expectation: retrying the whole transaction on the
    current data may succeed.
    """


class ConstraintViolated(RequestError):
    """A constraint of the backend's schema refused the rows.

    :param kind: the kind of the constraint; None if the backend does not report it.
    :param constraint: the constraint's name, or ``table.column``; None if the backend does not report it.
    :param row: the zero-based index of the refused row in a multi-row insert; None if not known.
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

    :param row: the row's zero-based index in the given list.
    :param column: the invalid column; None if the row as a whole is invalid.
    """

    def __init__(self, message: str, *, row: int, column: str | None) -> None:
        super().__init__(message)
        self.row = row
        self.column = column


class SeveralRows(InvalidQuery):
    """The query selects several rows, but must select one row or none."""


class Unsupported(RequestError):
    """The backend lacks a capability; raised before any I/O.

    :param capability: the name of the capability, usually a field of :class:`~database.core.capabilities.Capabilities`.
    """

    def __init__(self, capability: str, *, backend: str | None = None, detail: str = "") -> None:
        super().__init__(detail or f"{backend or 'this backend'} does not support {capability}", backend=backend)
        self.capability = capability


class SchemaMismatch(BackendError):
    """The database lacks a declared table or column; it needs a migration."""


def lacking(what: str) -> SchemaMismatch:
    """The error for a declared table or column that a database does not have.

    :param what: such as ``the table orders``.
    """
    return SchemaMismatch(
        f"the database lacks {what}: its migrations are not up to date; run `flask db upgrade`, which says what to do"
        " if no migration creates it"
    )


class CredentialsRefused(BackendError):
    """The backend refuses the application's own key or password; the message names the setting."""


class PermissionDenied(RequestError):
    """The tables' access rules, or those of the backend, refuse this identity."""


class TransactionError(RequestError):
    """The transaction has ended, was aborted, or belongs to another backend."""
