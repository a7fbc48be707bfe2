"""The data manager: one interface to several providers, which are called by their names."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING
from typing import Any

import uuid_utils

from storage.core.conditions import check_filters
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageConnectionError
from storage.core.errors import StorageKeyError
from storage.core.errors import StorageSerializationError
from storage.core.errors import shown
from storage.core.keys import check_key
from storage.core.store import Store
from storage.manager.awaiting import resolved
from storage.manager.provider import BaseStorageProvider
from storage.manager.provider import written
from storage.manager.references import DataReference
from storage.manager.references import check_name
from storage.manager.transaction import ManagerTransaction
from storage.manager.transaction import current_transaction
from storage.manager.transaction import transaction

if TYPE_CHECKING:
    from storage.core.vectors.directions import Vector

Find = Callable[[str], BaseStorageProvider | None]
"""Finds a provider that was not registered, by its name."""


class DataManager:
    """Stores data in the provider that the caller names.

    Its methods wait for their answers. In asynchronous code, call them with ``await asyncio.to_thread(dm.store, …)``.

    :param find: finds a provider that was not registered.
    """

    def __init__(self, find: Find = lambda _: None) -> None:
        self._find = find
        self._providers: dict[str, BaseStorageProvider] = {}

    # Providers

    def register_provider(self, name: str, provider: BaseStorageProvider | Store) -> None:
        """Use ``provider`` under ``name``, in the place of the one that had it. It is not closed."""
        # Only here: stores need not load the providers.
        from storage.providers.store import StoreProvider  # noqa: PLC0415

        made = StoreProvider(provider, name) if isinstance(provider, Store) else provider
        if not isinstance(made, BaseStorageProvider):
            raise StorageConfigurationError(
                f"a provider must be a BaseStorageProvider or a Store, not {type(provider).__name__}"
            )
        self._providers[check_name(name)] = made

    def provider(self, name: str) -> BaseStorageProvider:
        """The provider of that name. :raises StorageConfigurationError: if there is none."""
        found = self._providers.get(check_name(name)) or self._find(name)
        if found is None:
            error = StorageConfigurationError(f"Provider {name!r} not registered")
            error.add_note(f"Register it first: dm.register_provider({name!r}, …), or set its environment variables.")
            raise error
        return found

    def list_providers(self) -> Sequence[str]:
        """The names of the registered providers."""
        return sorted(self._providers)

    def check(self, *names: str) -> None:
        """Check that providers can be reached, by asking each of them.

        :raises StorageConfigurationError: for one that is not registered.
        :raises StorageConnectionError: for one that cannot be reached.
        """
        for name in names:
            if resolved(self.provider(name).health_check()) is False:
                raise StorageConnectionError(f"Provider {name!r} cannot be reached", backend=name)

    def close(self) -> None:
        """Close the connections of all registered providers; the next call opens them again."""
        for provider in self._providers.values():
            resolved(provider.close())

    # Data

    def store(
        self,
        data: Any,
        storage_type: str,
        key: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        *,
        expected: str | None = None,
        if_absent: bool = False,
    ) -> DataReference:
        """Store data, replacing what is there; returns a reference to it.

        :param data: a value as :meth:`Store.put <storage.core.store.Store.put>` takes it.
        :param storage_type: the name of the provider.
        :param key: a new one by default.
        :param metadata: a JSON object, by which :meth:`query` finds the data; ``ttl`` is a time to live in seconds.
        :param expected: the ``version`` of the reference to what is to be replaced.
        :param if_absent: only if nothing is there.
        :raises StorageConflictError: if something else is there than expected.
        """
        provider = self.provider(storage_type)
        given = _copied(metadata)
        key = uuid_utils.uuid7().hex if key is None else check_key(key)
        condition = {"expected": expected, "if_absent": if_absent} if if_absent or expected is not None else {}
        within = current_transaction.get()
        if within is None:
            result = written(provider, key, data, given, condition)
        else:
            place = DataReference(storage_type, key)
            result = within.write(place, provider, lambda write: write.store(data, given, condition))
        reference = DataReference(storage_type, result.key, given, result.version)
        if within is not None:
            within.references.append(reference)
        return reference

    def retrieve(self, reference: DataReference | str) -> Any:
        """The data that a reference, or its URI, refers to; what is there now.

        :raises StorageNotFoundError: if there is none.
        """
        found = _reference(reference)
        return self.retrieve_by_key(found.storage_type, found.key)

    def retrieve_by_key(self, storage_type: str, key: str) -> Any:
        """The data under a key. :raises StorageNotFoundError: if there is none."""
        return resolved(self.provider(storage_type).retrieve(check_key(key)))

    def delete(self, reference: DataReference | str) -> bool:
        """Delete what a reference, or its URI, refers to; returns whether there was something."""
        found = _reference(reference)
        return self.delete_by_key(found.storage_type, found.key)

    def delete_by_key(self, storage_type: str, key: str) -> bool:
        """Delete what is under a key; returns whether there was something."""
        provider, within = self.provider(storage_type), current_transaction.get()
        if within is None:
            return bool(resolved(provider.delete(check_key(key))))
        return within.write(DataReference(storage_type, check_key(key)), provider, lambda write: write.delete())

    def query(self, storage_type: str, filters: Mapping[str, Any], limit: int = 100) -> list[Any]:
        """The data in which all ``filters`` hold, in the order of their keys.

        :param filters: values by their paths, as in ``{"metadata.category": "report"}``.
        :param limit: how many at most, from 1 to 1,000.
        """
        check_filters(filters)
        return list(resolved(self.provider(storage_type).query(dict(filters), limit)))

    def search(
        self,
        storage_type: str,
        query_vector: Vector,
        limit: int = 10,
        filters: Mapping[str, Any] | None = None,
    ) -> list[tuple[Any, float]]:
        """The data with the most similar vectors, the most similar one first, each with its score.

        :raises StorageUnsupportedError: if the provider has no vectors.
        """
        given = None if filters is None else dict(filters)
        found = self.provider(storage_type).search(query_vector, limit, given)
        return [(data, score) for data, score in resolved(found)]

    def transaction(self) -> AbstractContextManager[ManagerTransaction]:
        """Undo all writes of a ``with`` block if an exception ends it: what was there before is put back.

        An entry that somebody else has changed since is left as it is. If the process ends in the middle of the block,
        what it has stored by then remains.

        :raises StorageRollbackError: if the block failed, and some of its writes could not be undone.
        """
        return transaction()


def _copied(metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    if metadata is not None and not isinstance(metadata, Mapping):
        raise StorageSerializationError(f"the metadata must be a dictionary, not {type(metadata).__name__}")
    return dict(metadata or {})


def _reference(reference: DataReference | str) -> DataReference:
    if isinstance(reference, DataReference):
        return reference
    if isinstance(reference, str):
        return DataReference.from_uri(reference)
    raise StorageKeyError(f"a reference must be a DataReference or its URI, not {shown(reference)}")
