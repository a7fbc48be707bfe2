"""Asynchronous storage in Convex: in the application's own deployment, or through functions of the caller."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any
from typing import Final

from config.settings import load_settings
from database import internal_tables
from database.backends.convex import ConvexAdapter
from database.core.tables.schema import Schema
from storage.asynchronous.convex.functions import Function
from storage.asynchronous.convex.functions import Functions
from storage.asynchronous.convex.routed import RoutedStorage
from storage.asynchronous.face import AsyncStorage
from storage.backends.table import TableEntries
from storage.core.errors import StorageConfigurationError
from storage.core.store import Store

_PACKAGE: Final = "app"
_MODULE: Final = "convex_toolkit.api.convergence_storage_convex"
_STORE: Final = "convergence"


class ConvexStorage:
    """Values in Convex.

    Without arguments, they are entries of a store in the deployment of ``CONVEX_URL``, under any keys; or an
    application's own module ``app.convex_toolkit.api.convergence_storage_convex`` is the client. With a client or
    functions, the prefix of a key decides which function stores the value: ``episode:``, ``trajectory:``,
    ``agent_legacy:``, ``training_run:``, ``experiment:`` or ``run:``. Each answers
    ``{"success": bool, "data": any, "error": str}``, and may be synchronous.

    :param client: has the functions as methods. Without ``get_experiment``, ``delete_by_key`` and ``list_keys``,
        experiments cannot be loaded, and values can neither be deleted nor listed.
    :param save_rl_data_fn: and the others: functions instead of those of the client.
    :raises StorageConfigurationError: if there is neither a client, nor a function, nor a deployment.
    """

    def __init__(
        self,
        client: object = None,
        save_rl_data_fn: Function | None = None,
        save_experiment_fn: Function | None = None,
        start_run_fn: Function | None = None,
        complete_run_fn: Function | None = None,
        get_rl_data_fn: Function | None = None,
        get_run_fn: Function | None = None,
        get_experiment_fn: Function | None = None,
    ) -> None:
        others = {
            "save_rl_data": save_rl_data_fn,
            "save_experiment": save_experiment_fn,
            "start_optimization_run": start_run_fn,
            "complete_optimization_run": complete_run_fn,
            "get_rl_data_by_key": get_rl_data_fn,
            "get_optimization_run": get_run_fn,
            "get_experiment": get_experiment_fn,
        }
        if client is None and not any(others.values()):
            client = _module()
            if client is None:
                self._inner: AsyncStorage | RoutedStorage = _deployment()
                return
        self._inner = RoutedStorage(Functions(client, others))

    async def save(self, key: str, value: Any) -> None:
        """Store a value, replacing the one that is there.

        :raises StorageKeyError: if no function is for its key.
        :raises StorageUnsupportedError: if that function is not there.
        :raises StorageSerializationError: if the functions have no place for a part of the value, such as a status.
        """
        await self._inner.save(key, value)

    async def load(self, key: str) -> Any:
        """The value of a key. :raises StorageNotFoundError: if there is none; it is a ``KeyError``."""
        return await self._inner.load(key)

    async def exists(self, key: str) -> bool:
        """Whether there is a value. :raises StorageError: if that cannot be known."""
        return await self._inner.exists(key)

    async def delete(self, key: str) -> None:
        """Delete a value, if there is one."""
        await self._inner.delete(key)

    async def list_keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with ``prefix``, in order."""
        return await self._inner.list_keys(prefix)

    async def count_keys(self, prefix: str = "") -> int:
        """How many keys begin with ``prefix``."""
        return await self._inner.count_keys(prefix)

    async def clear(self, prefix: str = "") -> int:
        """Delete all values whose keys begin with ``prefix``; returns their number."""
        return await self._inner.clear(prefix)

    async def close(self) -> None:
        """Close the connections to the deployment; a client is not closed."""
        await self._inner.close()


def _module() -> object:
    """The application's own functions, if it has them where Convergence looks for them."""
    package = find_spec(_PACKAGE)
    # Here the application is one file, which need not be run to know that.
    if package is None or package.submodule_search_locations is None:
        return None
    try:
        return import_module(f"{_PACKAGE}.{_MODULE}")
    except ModuleNotFoundError as error:
        if error.name is not None and f"{_PACKAGE}.{_MODULE}".startswith(error.name):
            return None
        raise


def _deployment() -> AsyncStorage:
    """The store in the deployment of the application's settings."""
    settings = load_settings().convex
    if settings.url is None or settings.deployment_key is None:
        raise StorageConfigurationError(
            "ConvexStorage needs a client (ConvexStorage(client=…)), functions (save_rl_data_fn=…), or a deployment:"
            " set CONVEX_URL and CONVEX_DEPLOYMENT_KEY"
        )
    config = {"url": settings.url, "key": settings.deployment_key.get_secret_value()}
    adapter = ConvexAdapter(config, Schema.of(internal_tables.metadata))
    return AsyncStorage(Store(TableEntries(adapter, _STORE), "convex"))
