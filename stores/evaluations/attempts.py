"""Changes that read first: repeated if somebody else has changed the same evaluation in the meantime."""

from __future__ import annotations

from collections.abc import Callable

from database.core.context import active_unit
from database.core.errors import SerializationFailure
from database.core.result import Row
from database.resilience.repetition import ATTEMPTS
from database.resilience.repetition import repeated
from storage.core.errors import StorageTransactionConflict
from stores.evaluations.meaning.errors import EvaluationChanged


def attempted(attempt: Callable[[], Row], expected: str | None) -> Row:
    """The result of ``attempt``.

    :param expected: the version that the caller expects; then it is not repeated.
    :raises SerializationFailure: if all attempts have failed, and in a unit of work, which is repeated as a whole.
    """

    def once() -> Row:
        try:
            return attempt()
        except SerializationFailure:
            raise
        except EvaluationChanged as error:
            if expected is not None:
                raise
            raise StorageTransactionConflict(error.message) from error

    return repeated(once, ATTEMPTS if active_unit.get() is None else 1)
