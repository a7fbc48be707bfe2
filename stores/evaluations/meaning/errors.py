"""The errors of evaluations, made in one place."""

from __future__ import annotations

from storage.core.errors import StorageConflictError
from storage.core.errors import StorageNotFoundError
from storage.core.errors import shown


class EvaluationChanged(StorageConflictError):
    """An evaluation does not have the version that it had when it was read."""


def missing(id: str) -> StorageNotFoundError:
    """The error for an evaluation that is not there."""
    return StorageNotFoundError(f"there is no evaluation {shown(id)}")


def no_output(id: str, kind: str) -> StorageNotFoundError:
    """The error for an output that is not there."""
    return StorageNotFoundError(f"the evaluation {shown(id)} has no {kind}")


def exists(id: str) -> StorageConflictError:
    """The error for a new evaluation whose id is taken."""
    return StorageConflictError(f"there is an evaluation {shown(id)} already; choose another id")


def changed(id: str) -> EvaluationChanged:
    """The error for an evaluation that does not have the expected version."""
    return EvaluationChanged(f"the evaluation {shown(id)} was changed or deleted by somebody else; read it again")


def has_ended(id: str, status: str, kind: str) -> StorageConflictError:
    """The error for a second output of an evaluation that stays as it is."""
    return StorageConflictError(f"the evaluation {shown(id)} is {status} and has its {kind}, which stays as it is")
