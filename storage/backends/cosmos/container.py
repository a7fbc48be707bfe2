"""The items of a container in one partition: single requests and batches."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any
from typing import Final

import orjson
from azure.core import MatchConditions
from azure.cosmos import ContainerProxy
from azure.cosmos import exceptions

from storage.backends.cosmos.account import Item
from storage.backends.cosmos.account import Opening
from storage.backends.cosmos.errors import KIND
from storage.backends.cosmos.errors import translated_errors
from storage.core.errors import StorageCapacityError

MOST_TOGETHER: Final = 100
_MOST_BYTES: Final = 2_000_000
"""How many items, and how many bytes, one batch takes."""

_UNMATCHED: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED})
"""The answers for an item that is not as the request demands."""

_NO_CONTAINER: Final = 1003


class Container:
    """The items of a container with one partition key.

    :param store: the partition key.
    """

    def __init__(self, opening: Opening, store: str) -> None:
        self._opening, self._store = opening, store

    def get(self, id_: str) -> Item | None:
        """An item, or None."""
        items = self._items()
        with translated_errors(reads=True):
            try:
                return items.read_item(id_, self._store)
            except exceptions.CosmosResourceNotFoundError as error:
                if error.sub_status == _NO_CONTAINER:
                    raise
                return None

    def query(self, text: str, parameters: Mapping[str, Any], at_once: int | None = None) -> Iterator[Item]:
        """The items of a query, with parameters such as ``@id``.

        :param at_once: how many each request returns.
        """
        given = [{"name": name, "value": value} for name, value in parameters.items()]
        items = self._items()
        with translated_errors(reads=True):
            yield from items.query_items(
                text, parameters=given, partition_key=self._store, max_item_count=at_once, enable_scan_in_query=True
            )

    def upsert(self, item: Item) -> None:
        """Store an item, replacing the one that is there."""
        items = self._items()
        with translated_errors(reads=False):
            items.upsert_item(item)

    def create(self, item: Item) -> bool:
        """Store an item, if there is none; returns whether there was none."""
        return self._holds(self._items().create_item, item)

    def replace(self, item: Item, tag: str) -> bool:
        """Replace the item that has this tag; returns whether it had it."""
        return self._holds(self._items().replace_item, item["id"], item, **_if(tag))

    def delete(self, id_: str, tag: str | None = None) -> bool:
        """Delete an item, which must have the tag; returns whether it was there, and had it."""
        conditions = {} if tag is None else _if(tag)
        return self._holds(self._items().delete_item, id_, self._store, **conditions)

    def batch(self, operations: Sequence[tuple[Any, ...]]) -> bool:
        """Carry out all operations, or none; returns whether their conditions held."""
        items = self._items()
        with translated_errors(reads=False):
            try:
                items.execute_item_batch(list(operations), self._store)
            except exceptions.CosmosBatchOperationError as error:
                if error.status_code in _UNMATCHED:
                    return False
                raise
            return True

    def ping(self) -> None:
        """Check that the container can be reached, and that it is there."""
        items = self._items()
        with translated_errors(reads=True):
            items.read()

    def close(self) -> None:
        """Close the connections."""
        self._opening.close()

    def _items(self) -> ContainerProxy:
        return self._opening.opened()

    def _holds(self, request: Any, *arguments: Any, **options: Any) -> bool:
        with translated_errors(reads=False):
            try:
                request(*arguments, **options)
            except exceptions.CosmosHttpResponseError as error:
                if error.status_code in _UNMATCHED and error.sub_status != _NO_CONTAINER:
                    return False
                raise
            return True


def check_batch(items: Sequence[Item], what: str = "entries", advice: str = "store them in smaller batches") -> None:
    """Refuse more items than one batch takes. :raises StorageCapacityError: says how many that are.

    :param what: the items' name in the message, and ``advice`` what it says to do.
    """
    size = sum(len(orjson.dumps(item)) for item in items)
    if len(items) > MOST_TOGETHER or size > _MOST_BYTES:
        raise StorageCapacityError(
            f"{len(items):,} {what} with {size:,} bytes are too many to be stored all or none: Cosmos DB takes"
            f" {MOST_TOGETHER} with {_MOST_BYTES:,} bytes; {advice}",
            backend=KIND,
        )


def _if(tag: str) -> dict[str, Any]:
    return {"etag": tag, "match_condition": MatchConditions.IfNotModified}
