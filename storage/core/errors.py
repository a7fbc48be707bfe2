"""The exceptions of stores: each is a ``StorageError``, and also the exception of the data layer that it stands for.

::

    StorageError (DataError)
    ├── StorageConnectionError      the server was not reached; nothing was applied (also a builtin ConnectionError)
    │   └── StorageCircuitOpen      refused by the circuit breaker, nothing was sent
    ├── StorageTimeoutError         no response in time, nothing was applied (also a builtin TimeoutError)
    ├── StorageOutcomeUnknown       a write was sent and its response lost: it may have been applied
    ├── StorageThrottled            the server limits the rate of requests
    ├── StorageCredentialsRefused   the server refuses the application's own key or password
    ├── StorageCorruptError         what is stored under a key is not what was stored there
    ├── StorageNotFoundError        nothing is stored under the key (also a builtin KeyError)
    ├── StorageConflictError        the entry does not have the version that the caller expected
    │   └── StorageTransactionConflict  another transaction was in the way; the whole one may be run again
    ├── StorageKeyError             not a key, prefix, cursor, filter or number that a store takes
    ├── StorageVectorError          not a vector that the store takes
    ├── StorageSerializationError   a value that has no stored form (also a builtin TypeError)
    ├── StorageCapacityError        a value, or its metadata, that is too large
    ├── StorageUnsupportedError     the store lacks a capability
    ├── StorageRollbackError        a transaction of a data manager failed, and could not be undone as a whole
    ├── StoragePermissionError      the access rules, or those of the server, refuse this caller
    └── StorageConfigurationError   a store that is not set up, or not as it must be

Messages never contain values, credentials or metadata.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from database.core.errors import CircuitOpen
from database.core.errors import Conflict
from database.core.errors import ConstraintViolated
from database.core.errors import CredentialsRefused
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import Outcome
from database.core.errors import OutcomeUnknown
from database.core.errors import PermissionDenied
from database.core.errors import PoolExhausted
from database.core.errors import RequestError
from database.core.errors import SerializationFailure
from database.core.errors import Stopped
from database.core.errors import Throttled
from database.core.errors import TimedOut
from database.core.errors import Unavailable
from database.core.errors import Unsupported


class StorageError(DataError):
    """Base of all exceptions of stores."""


class StorageConnectionError(StorageError, Unavailable):
    """The store's server could not be reached; nothing was applied."""


class StorageCircuitOpen(StorageConnectionError, CircuitOpen):
    """The circuit breaker refused the call; nothing was sent."""


class StorageTimeoutError(StorageError, TimedOut):
    """No response within the time limit; nothing was applied."""


class StorageOutcomeUnknown(StorageError, OutcomeUnknown):
    """A write was sent and its response lost. It may or may not have been applied."""


class StorageThrottled(StorageError, Throttled):
    """The store's server refused the request because of its load; nothing was applied."""


class StorageCredentialsRefused(StorageError, CredentialsRefused):
    """The store's server refuses the application's own key or password."""


class StorageCorruptError(StorageError):
    """What is stored under a key cannot be what was stored there: it is damaged, or was exchanged.

    :param key: the entry's key.
    :param reason: what is wrong with it, for people.
    """

    def __init__(self, key: str, reason: str, *, backend: str | None = None) -> None:
        super().__init__(f"the entry {shown(key)} cannot be read: {reason}", backend=backend)
        self.key = key


class StorageNotFoundError(StorageError, NotFound):
    """Nothing is stored under the key."""


class StorageConflictError(StorageError, Conflict):
    """The entry does not have the version that the caller expected."""


class StorageTransactionConflict(StorageConflictError, SerializationFailure):
    """Another transaction changed what this one has read; the whole of it may succeed on the current data."""


class StorageKeyError(StorageError, InvalidQuery):
    """Not a key, prefix, cursor, filter or number that a store takes."""


class StorageVectorError(StorageError, InvalidQuery):
    """Not a vector that the store takes: another number of dimensions, no number, or 0 everywhere."""


class StorageSerializationError(StorageError, InvalidQuery, TypeError):
    """The value, or its metadata, has no stored form."""


class StorageCapacityError(StorageError, InvalidQuery):
    """The value, or its metadata, is larger than the store takes."""


class StorageUnsupportedError(StorageError, Unsupported):
    """The store lacks a capability; raised before any I/O."""


class StoragePermissionError(StorageError, PermissionDenied):
    """The access rules, or those of the store's server, refuse this caller."""


class StorageRollbackError(StorageError):
    """A transaction of a data manager failed, and some of what it had stored could not be undone; the cause is the
    reason of its failure.

    :param left: the references to what is still as the transaction stored it, each with the reason.
    """

    def __init__(self, message: str, left: Mapping[Any, Exception]) -> None:
        super().__init__(message)
        self.left = left


class StorageConfigurationError(StorageError, RequestError):
    """A store is not set up, or not as it must be."""


_SHOWN = 64


def shown(key: object) -> str:
    """A key as a message shows it: quoted, and not longer than a line takes."""
    text = repr(key)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def missing(key: str, *, backend: str | None = None) -> StorageNotFoundError:
    """The error for a key under which nothing is stored."""
    return StorageNotFoundError(f"nothing is stored under the key {shown(key)}", backend=backend)


def changed(key: str, *, absent: bool, backend: str | None = None) -> StorageConflictError:
    """The error for an entry that is not as the caller expected.

    :param absent: whether the caller expected that there is none.
    """
    reason = "exists already" if absent else "was changed or deleted by somebody else; read it again"
    return StorageConflictError(f"the entry {shown(key)} {reason}", backend=backend)


def is_outage(error: DataError) -> bool:
    """Whether the error says that a place is out of reach, and that nothing was applied."""
    if isinstance(error, PoolExhausted | Stopped) or error.outcome is not Outcome.NOT_APPLIED:
        return False
    return isinstance(error, Unavailable | TimedOut)


_TWINS: tuple[tuple[type[DataError], type[StorageError]], ...] = (
    (CircuitOpen, StorageCircuitOpen),
    (Unavailable, StorageConnectionError),
    (TimedOut, StorageTimeoutError),
    (OutcomeUnknown, StorageOutcomeUnknown),
    (Throttled, StorageThrottled),
    (CredentialsRefused, StorageCredentialsRefused),
    (NotFound, StorageNotFoundError),
    (SerializationFailure, StorageTransactionConflict),
    (Conflict, StorageConflictError),
    # A unique id, or a reference: somebody else's row is in the way.
    (ConstraintViolated, StorageConflictError),
    (PermissionDenied, StoragePermissionError),
    (InvalidQuery, StorageKeyError),
)
"""The first that fits is the exception of stores for one of the data layer."""


def as_storage_error(error: DataError) -> StorageError:
    """The exception of stores for one of the data layer; the same one if it is already."""
    if isinstance(error, StorageError):
        return error
    if isinstance(error, Unsupported):
        return StorageUnsupportedError(error.capability, backend=error.backend, detail=error.message)
    twin = next((twin for kind, twin in _TWINS if isinstance(error, kind)), StorageError)
    made = twin(error.message, backend=error.backend, operation=error.operation, retry_after=error.retry_after)
    made.retryable, made.outcome = error.retryable, error.outcome
    return made
