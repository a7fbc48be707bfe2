"""Errors: each of the data layer has one of stores that is caught as both."""

from __future__ import annotations

import pytest

from database.core import errors
from storage.core.errors import StorageConflictError
from storage.core.errors import StorageError
from storage.core.errors import StorageTransactionConflict
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import as_storage_error

KINDS = [
    *(errors.CircuitOpen, errors.Unavailable, errors.TimedOut, errors.OutcomeUnknown, errors.Throttled),
    *(errors.CredentialsRefused, errors.NotFound, errors.Conflict, errors.SerializationFailure),
    *(errors.PermissionDenied, errors.InvalidQuery),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_of_the_data_layer_stays_one(kind: type[errors.DataError]) -> None:
    error = kind("the reason", backend="sqlite", operation="insert")
    made = as_storage_error(error)
    assert isinstance(made, StorageError)
    assert isinstance(made, kind)
    assert (made.message, made.backend, made.operation) == ("the reason", "sqlite", "insert")
    assert (made.retryable, made.outcome) == (error.retryable, error.outcome)
    assert as_storage_error(made) is made


def test_what_is_not_supported() -> None:
    made = as_storage_error(errors.Unsupported("locks", backend="convex"))
    assert isinstance(made, StorageUnsupportedError)
    assert (made.capability, made.backend, made.message) == ("locks", "convex", "convex does not support locks")


def test_a_constraint_is_a_conflict_and_a_lost_race_may_be_run_again() -> None:
    assert isinstance(as_storage_error(errors.ConstraintViolated("taken")), StorageConflictError)
    assert isinstance(as_storage_error(errors.SerializationFailure("again")), StorageTransactionConflict)
