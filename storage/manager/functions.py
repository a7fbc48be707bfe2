"""Decorators for functions that use storage, such as agents."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Sequence
from functools import wraps
from inspect import iscoroutinefunction
from inspect import signature
from typing import Any
from typing import Final
from typing import TypeVar
from typing import cast

from storage.core.errors import StorageConfigurationError
from storage.core.errors import StoragePermissionError
from storage.manager.environment import get_data_manager
from storage.manager.manager import DataManager
from storage.manager.provider import BaseStorageProvider

Function = TypeVar("Function", bound=Callable[..., Any])

_PARAMETERS: Final = ("storage", "storage_manager")
"""Parameters that get the function's storage, if the caller gives nothing for them."""


def storage_enabled(providers: str | Sequence[str] | None = None) -> Callable[[Function], Function]:
    """Give a function, sync or async, an attribute ``storage``: a data manager that has only these providers.

    A parameter of the function that is named ``storage`` or ``storage_manager`` gets it, too.

    :param providers: their names; all by default. They need not be registered yet.
    """

    def decorate(function: Function) -> Function:
        storage = _manager_of(None if providers is None else _names(providers))
        wanted = {name: storage for name in _PARAMETERS if name in _parameters(function)}
        made = _calling(function, wanted) if wanted else function
        made.storage = storage  # type: ignore[attr-defined]
        return made

    return decorate


def requires_storage(*names: str, providers: str | Sequence[str] = ()) -> Callable[[Function], Function]:
    """Before each call of a function, sync or async, ask each of these providers whether it can be reached.

    :raises StorageConfigurationError: in the call, if one is not registered.
    :raises StorageConnectionError: in the call, if one cannot be reached.
    """
    required = (*names, *_names(providers))
    if not required:
        raise StorageConfigurationError("requires_storage needs the name of at least one provider")

    def decorate(function: Function) -> Function:
        @wraps(function)
        def call(*arguments: Any, **named: Any) -> Any:
            get_data_manager().check(*required)
            return function(*arguments, **named)

        @wraps(function)
        async def await_call(*arguments: Any, **named: Any) -> Any:
            await asyncio.to_thread(get_data_manager().check, *required)
            return await function(*arguments, **named)

        return cast("Function", await_call if iscoroutinefunction(function) else call)

    return decorate


def _names(providers: str | Iterable[str]) -> tuple[str, ...]:
    return (providers,) if isinstance(providers, str) else tuple(providers)


def _parameters(function: Callable[..., Any]) -> Iterable[str]:
    try:
        return signature(function).parameters
    except (TypeError, ValueError):
        return ()


def _manager_of(names: tuple[str, ...] | None) -> DataManager:
    """A manager that has some providers of the one of this process, as they are registered when they are used."""

    def find(name: str) -> BaseStorageProvider:
        if names is not None and name not in names:
            raise StoragePermissionError(
                f"the function has no access to the provider {name!r}; name it in storage_enabled(providers=…)"
            )
        return get_data_manager().provider(name)

    return DataManager(find)


def _calling(function: Function, given: dict[str, DataManager]) -> Function:
    @wraps(function)
    def call(*arguments: Any, **named: Any) -> Any:
        return function(*arguments, **{**given, **named})

    @wraps(function)
    async def await_call(*arguments: Any, **named: Any) -> Any:
        return await function(*arguments, **{**given, **named})

    return cast("Function", await_call if iscoroutinefunction(function) else call)
