"""What Convex answers when it does not do what was asked, as the data layer's errors.

Convex answers a failing function with status 200. Its ``errorMessage`` is redacted in production, so that decisions
are made by ``errorData`` and by the code of an answer that is no function's.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

from convex import ConvexError

from database.core.errors import BackendError
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import CredentialsRefused
from database.core.errors import DataError
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import PermissionDenied
from database.core.errors import RequestError
from database.core.errors import SchemaMismatch
from database.core.errors import SerializationFailure
from database.core.errors import Throttled
from database.core.errors import lost_answer

_LONGEST_TEXT = 200

_NOT_EXECUTED = frozenset(
    {
        "OptimisticConcurrencyControlFailure",
        "Overloaded",
        "RejectedBeforeExecution",
        "FeatureTemporarilyUnavailable",
        "TooManyConcurrentRequests",
        "OutOfRetention",
    }
)
"""Codes of a 503 that say that nothing was applied."""


class _Thrown(ConvexError):
    """As Convex' own error, made of the message alone, which is all that the base of the data layer's errors passes."""

    def __init__(self, message: str) -> None:
        super().__init__(message, None)


class FunctionError(RequestError, _Thrown):
    """A function of the application refused or failed; nothing that it did in its transaction has happened.

    :ivar data: what it threw as a ``ConvexError``; None for any other failure.
    """

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.data = data


class FunctionReplaced(SerializationFailure):
    """A function that the transaction has carried out itself is another one now; nothing was written."""


def function_error(message: str, data: Any) -> DataError:
    """The error of an application's function."""
    if message.startswith("Could not find") or "Could not find public function" in message:
        return NotFound("there is no such Convex function")
    return FunctionError(_first_line(message), data)


def unknown_function(path: str) -> DataError:
    """The error for a function that is not among those that the deployment lists."""
    return NotFound(f"there is no Convex function {path}; one that was deployed just now is known within a minute")


def internal_error(message: str, data: Any) -> DataError:
    """The error of one of Isthmus' own functions."""
    if isinstance(data, Mapping):
        if data.get("code") in {"CALL_REFUSED", "CALL_FAILED"}:
            return FunctionError(f"{data.get('path')} failed: {_first_line(message)}", data.get("data"))
        make = _REFUSALS.get(str(data.get("code")))
        if make is not None:
            return make(data)
    if "Could not find" in message:
        return SchemaMismatch("Isthmus' functions are not deployed there; deploy database/convex_functions")
    return BackendError(f"Convex could not carry out the operation: {_first_line(message)}")


def http_error(status: int, code: str, message: str, retry_after: float | None, *, reads: bool) -> DataError:
    """The error of an answer that comes from the deployment rather than from a function.

    :param reads: whether the request certainly changed nothing.
    """
    said = f"{status} {code}".strip()
    if status == 429 or (status == 503 and code in _NOT_EXECUTED):
        return Throttled(f"Convex asks to try again later ({said})", retry_after=retry_after)
    if status in {401, 403}:
        return _refused(code, said)
    if 400 <= status < 500 and status not in {408, 409, 421, 425}:
        return InvalidQuery(f"Convex refused the request ({said}): {_first_line(message)}")
    return lost_answer(f"Convex failed ({said})", reads=reads or status in {421, 425}, retry_after=retry_after)


def _refused(code: str, said: str) -> DataError:
    if code in {"BadAdminKey", "BadDeployKey", "InvalidAdminKey"}:
        return CredentialsRefused(f"Convex does not accept the deploy key ({said}); see CONVEX_DEPLOYMENT_KEY")
    return PermissionDenied(f"Convex does not accept the caller's token ({said})")


def _stale(data: Mapping[str, Any]) -> DataError:
    return SerializationFailure(f"what the transaction had read of {data.get('table')!r} has changed")


def _key_reused(_: Mapping[str, Any]) -> DataError:
    return InvalidQuery("the key of this commit was used for another one")


def _unique(data: Mapping[str, Any]) -> DataError:
    constraint = f"{data.get('table')}.{','.join(data.get('columns') or ())}"
    return ConstraintViolated(
        "a record with this value exists", kind=ConstraintKind.UNIQUE, constraint=constraint, row=_step(data)
    )


def _foreign_key(data: Mapping[str, Any]) -> DataError:
    constraint = f"{data.get('table')}.{data.get('column')}"
    return ConstraintViolated(
        "there is no such record to refer to", kind=ConstraintKind.FOREIGN_KEY, constraint=constraint, row=_step(data)
    )


def _referenced(data: Mapping[str, Any]) -> DataError:
    constraint = f"{data.get('table')}.{data.get('column')}"
    return ConstraintViolated(
        f"records in {data.get('table')} refer to this one", kind=ConstraintKind.FOREIGN_KEY, constraint=constraint
    )


_REFUSALS: Mapping[str, Callable[[Mapping[str, Any]], DataError]] = {
    "STALE": _stale,
    "KEY_REUSED": _key_reused,
    "REDEPLOYED": lambda data: FunctionReplaced(f"{data.get('path')} was replaced in Convex during the transaction"),
    "UNIQUE": _unique,
    "FOREIGN_KEY": _foreign_key,
    "REFERENCED": _referenced,
    "NO_TABLE": lambda data: SchemaMismatch(f"table {data.get('table')!r} is not deployed there"),
    "NO_COLUMN": lambda data: SchemaMismatch(f"column {data.get('table')}.{data.get('column')} is not deployed there"),
    "LIMIT": lambda data: InvalidQuery(f"a limit of Convex was reached: {data.get('message')}"),
}


def _step(data: Mapping[str, Any]) -> int | None:
    step = data.get("step")
    return None if step is None else int(step)


def _first_line(message: str) -> str:
    return message.partition("\n")[0][:_LONGEST_TEXT]
