"""The functions of an application through which values are stored, and their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Mapping
from inspect import isawaitable
from inspect import iscoroutinefunction
from typing import Any
from typing import Final

from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageError
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

    async def data(self, name: str, *arguments: Any, **named: Any) -> Any:
        """The data that a function answers with.

        :raises StorageUnsupportedError: if there is no such function.
        :raises StorageConnectionError: if it has no connection.
        :raises Failure: if it was not successful.
        :raises StorageError: if its answer is none.
        """
        if name not in self:
            raise StorageUnsupportedError(name, backend="convex", detail=f"the client has no function {name}")
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
