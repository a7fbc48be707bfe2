"""The functions of an application through which values are stored, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from inspect import Parameter
from inspect import isawaitable
from inspect import iscoroutinefunction
from inspect import signature
from typing import Any
from typing import Final

from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageError
from storage.core.errors import StorageSerializationError
from storage.core.errors import StorageUnsupportedError
from storage.core.errors import shown

Function = Callable[..., Any]

REQUIRED: Final = (
    *("save_rl_data", "get_rl_data_by_key", "save_experiment"),
    *("start_optimization_run", "complete_optimization_run", "get_optimization_run"),
)
"""The methods of a client."""

OPTIONAL: Final = ("get_experiment", "delete_by_key", "list_keys")
"""What a client may have besides: to read experiments, to delete and to list."""


class Failure(StorageError):
    """A function answered that it was not successful. :ivar reason: its own."""

    def __init__(self, function: str, reason: object) -> None:
        super().__init__(f"{function} was not successful: {reason or 'it gave no reason'}", backend="convex")
        self.reason = str(reason or "")


class Functions:
    """Functions by their names in a client; each of them may be synchronous.

    :param client: an object, or a module, that has them as attributes.
    :param others: functions instead of those of the client.
    """

    def __init__(self, client: object, others: Mapping[str, Function | None]) -> None:
        found = {name: getattr(client, name, None) for name in (*REQUIRED, *OPTIONAL)}
        found |= {name: function for name, function in others.items() if function is not None}
        self._functions: dict[str, Function] = {name: one for name, one in found.items() if callable(one)}

    def __contains__(self, name: str) -> bool:
        return name in self._functions

    def missing(self) -> list[str]:
        """The names of the required functions that are not there."""
        return [name for name in REQUIRED if name not in self]

    def not_taken(self, name: str, arguments: Iterable[str]) -> list[str]:
        """The names of the arguments that a function does not take, if its signature tells."""
        try:
            parameters = signature(self._functions[name]).parameters.values()
        except (KeyError, TypeError, ValueError):
            return []
        if any(one.kind is Parameter.VAR_KEYWORD for one in parameters):
            return []
        taken = {
            one.name for one in parameters if one.kind in {Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY}
        }
        return [argument for argument in arguments if argument not in taken]

    def require(self, name: str, arguments: Iterable[str]) -> None:
        """Check that a function is there, and takes the arguments of these names.

        :raises StorageUnsupportedError: if there is no such function.
        :raises StorageSerializationError: if it does not take them; names them.
        """
        if name not in self:
            raise StorageUnsupportedError(name, backend="convex", detail=f"the client has no function {name}")
        if refused := self.not_taken(name, arguments):
            raise StorageSerializationError(
                f"{name} of the client does not take {', '.join(refused)}; leave this out of the value, or give the"
                " function a parameter for it, such as **optional_fields",
                backend="convex",
            )

    async def data(self, name: str, /, *arguments: Any, **named: Any) -> Any:
        """The data that a function answers with.

        :raises StorageUnsupportedError: if there is no such function.
        :raises StorageSerializationError: if it does not take a named argument.
        :raises StorageConnectionError: if it has no connection.
        :raises Failure: if it was not successful.
        :raises StorageError: if its answer is none.
        """
        self.require(name, named)
        try:
            answer = await self._answer(self._functions[name], arguments, named)
        except StorageError:
            raise
        except OSError as error:
            raise StorageConnectionError(
                f"{name} has no connection: {type(error).__name__}", backend="convex"
            ) from error
        if not isinstance(answer, Mapping) or not isinstance(answer.get("success"), bool):
            raise StorageError(
                f'{name} must return {{"success": bool, "data": any, "error": str}}, not {shown(answer)}',
                backend="convex",
            )
        if not answer["success"]:
            raise Failure(name, answer.get("error"))
        return answer.get("data")

    async def _answer(self, function: Function, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if iscoroutinefunction(function):
            return await function(*arguments, **named)
        answer = await asyncio.to_thread(function, *arguments, **named)
        return await answer if isawaitable(answer) else answer
