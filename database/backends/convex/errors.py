"""Maps Convex's error responses to the data layer's errors.

Convex reports a failed function with status 200 and redacts ``errorMessage`` in production. The mapping therefore uses
``errorData`` for functions and the error code for responses that the deployment itself makes.
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
_DEPLOY = "run `flask db convex-schema` and deploy database/convex_functions"

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
"""Codes of a 503 that guarantee that nothing was applied."""


class _Thrown(ConvexError):
    """Convex's own error, created from the message alone, as ``DataError.__init__`` calls its base class."""

    def __init__(self, message: str) -> None:
        super().__init__(message, None)


class FunctionError(RequestError, _Thrown):
    """A function of the application raised an error or failed; its transaction was rolled back.

    :ivar data: the data of the ``ConvexError`` that it threw; None for any other failure.
    """

    def __init__(self, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.data = data


class FunctionReplaced(SerializationFailure):
    """A record function that the transaction has executed as an operation was redeployed; nothing was written."""


def function_error(message: str, data: Any) -> DataError:
    """The error of an application's function."""
    if message.startswith("Could not find") or "Could not find public function" in message:
        return NotFound("the Convex function does not exist or is not public")
    return FunctionError(_first_line(message), data)


def unknown_function(path: str) -> DataError:
    """The error for a function that the deployment does not list, or that the caller may not call."""
    return NotFound(
        f"Convex function {path} does not exist; a new function can be called within a minute of its deploy"
    )


def internal_error(message: str, data: Any) -> DataError:
    """The error of one of Isthmus' own functions."""
    if isinstance(data, Mapping):
        if data.get("code") in {"CALL_REFUSED", "CALL_FAILED"}:
            return FunctionError(f"{data.get('path')} failed: {_first_line(message)}", data.get("data"))
        make = _REFUSALS.get(str(data.get("code")))
        if make is not None:
            return make(data)
    if "Could not find" in message:
        return SchemaMismatch("the Convex deployment lacks Isthmus's functions; deploy database/convex_functions")
    return BackendError(f"Convex failed to execute the operation: {_first_line(message)}")


def http_error(status: int, code: str, message: str, retry_after: float | None, *, reads: bool) -> DataError:
    """The error for a response made by the deployment itself rather than by a function.

    :param reads: whether the request is certain to have changed nothing.
    """
    said = f"{status} {code}".strip()
    if status == 429 or (status == 503 and code in _NOT_EXECUTED):
        return Throttled(f"Convex is busy or limits the request rate ({said}); retry later", retry_after=retry_after)
    if status in {401, 403}:
        return _refused(code, said)
    if 400 <= status < 500 and status not in {408, 409, 421, 425}:
        return InvalidQuery(f"Convex refused the request ({said}): {_first_line(message)}")
    return lost_answer(f"Convex failed ({said})", reads=reads or status in {421, 425}, retry_after=retry_after)


def _refused(code: str, said: str) -> DataError:
    if code in {"BadAdminKey", "BadDeployKey", "InvalidAdminKey"}:
        return CredentialsRefused(f"Convex rejected the deploy key ({said}); check CONVEX_DEPLOYMENT_KEY")
    return PermissionDenied(f"Convex rejected the caller's token ({said})")


def _stale(data: Mapping[str, Any]) -> DataError:
    return SerializationFailure(
        f"another transaction changed rows of table {data.get('table')!r} that this one has read; run it again"
    )


def _key_reused(_: Mapping[str, Any]) -> DataError:
    return InvalidQuery("the commit's idempotency key was already used for a different commit")


def _unique(data: Mapping[str, Any]) -> DataError:
    constraint = f"{data.get('table')}.{','.join(data.get('columns') or ())}"
    return ConstraintViolated(
        f"a record with the same {constraint} exists already",
        kind=ConstraintKind.UNIQUE,
        constraint=constraint,
        row=_step(data),
    )


def _foreign_key(data: Mapping[str, Any]) -> DataError:
    constraint = f"{data.get('table')}.{data.get('column')}"
    return ConstraintViolated(
        f"{constraint} refers to a record that does not exist",
        kind=ConstraintKind.FOREIGN_KEY,
        constraint=constraint,
        row=_step(data),
    )


def _referenced(data: Mapping[str, Any]) -> DataError:
    constraint = f"{data.get('table')}.{data.get('column')}"
    return ConstraintViolated(
        f"records of {data.get('table')} refer to this one; delete them first",
        kind=ConstraintKind.FOREIGN_KEY,
        constraint=constraint,
    )


_REFUSALS: Mapping[str, Callable[[Mapping[str, Any]], DataError]] = {
    "STALE": _stale,
    "KEY_REUSED": _key_reused,
    "REDEPLOYED": lambda data: FunctionReplaced(
        f"Convex function {data.get('path')} was redeployed during the transaction; run it again"
    ),
    "UNIQUE": _unique,
    "FOREIGN_KEY": _foreign_key,
    "REFERENCED": _referenced,
    "NO_TABLE": lambda data: SchemaMismatch(f"the Convex deployment lacks table {data.get('table')!r}; {_DEPLOY}"),
    "NO_COLUMN": lambda data: SchemaMismatch(
        f"the Convex deployment lacks column {data.get('table')}.{data.get('column')}; {_DEPLOY}"
    ),
    "LIMIT": lambda data: InvalidQuery(f"the operation exceeds a limit of Convex: {data.get('message')}"),
}


def _step(data: Mapping[str, Any]) -> int | None:
    step = data.get("step")
    return None if step is None else int(step)


def _first_line(message: str) -> str:
    return message.partition("\n")[0][:_LONGEST_TEXT]
