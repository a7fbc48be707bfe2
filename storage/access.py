"""The access rules of a store: those of tables, applied to every operation of a caller before a backend sees it.

With the rule ``owner``, callers have the entries whose keys begin with their own id and a slash (in the id, ``~0``
stands for ``~`` and ``~1`` for ``/``). As in tables, they do not find those of others, and cannot store any.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from typing import ClassVar
from typing import Final

from database.core.context import Context
from database.core.context import Identity
from database.core.errors import CallerMissing
from database.core.errors import PermissionDenied
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.result import Result
from database.core.tables.access_rules import Access
from database.core.tables.access_rules import Action
from database.core.tables.access_rules import granted_by
from database.core.tables.access_rules import is_caller
from database.resilience.stages import Handler
from storage.core.capabilities import StoreCapabilities
from storage.core.errors import changed
from storage.core.layer import Layer
from storage.core.operations import Clear
from storage.core.operations import Fetch
from storage.core.operations import FetchMany
from storage.core.operations import Link
from storage.core.operations import Put
from storage.core.operations import Read
from storage.core.operations import Remove
from storage.core.operations import Scan
from storage.core.operations import Search
from storage.core.operations import Upload

_ACTIONS: Final[tuple[Action, ...]] = ("read", "write", "delete")

_NEEDED: Final[dict[type[Operation], tuple[Action, ...]]] = {
    Put: ("write",),
    Remove: ("read", "delete"),
    Clear: ("read", "delete"),
}
"""The actions that an operation requires; all others read."""

_WHOLE: Final[dict[type[Operation], Callable[[Any], Operation]]] = {
    Read: lambda read: Fetch(read.key, head=True),
    Link: lambda link: Fetch(link.key, head=True),
    Upload: lambda upload: Put(upload.entry, upload.expected),
}
"""For an operation on parts of a body, the one on the whole entry that requires the same rights."""


class StoreAccess(Layer):
    """The first stage of a store: what its callers may do. The application itself may do everything.

    :param store: the name of the store, for messages.
    :param access: the grants of ``read``, ``write`` and ``delete``, as in ``info["access"]`` of a table, or the one
        rule for all of them.
    :raises ValueError: says what is wrong with them.
    """

    name: ClassVar[str] = "access"
    needs_whole: ClassVar[bool] = False

    def __init__(self, store: str, access: object) -> None:
        super().__init__()
        self._store = store
        given = dict.fromkeys(_ACTIONS, access) if isinstance(access, str) else access
        self._access = dict(zip(_ACTIONS, granted_by(given, f"store {store!r}"), strict=True))

    @property
    def declared(self) -> bool:
        """Whether there are any rules; without them, the store is closed to callers."""
        return any(access.rules for access in self._access.values())

    def of(self, action: Action) -> Access:
        """The grants of an action."""
        return self._access[action]

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        # It needs no body to judge an operation.
        return inner

    def around(self, inner: Handler) -> Handler:
        """The stage around the next one. A call without a caller is refused, as those of databases are."""

        def call(operation: Operation, context: Context) -> Result:
            if context.identity is None:
                raise CallerMissing(backend=self._store, operation=operation.kind)
            if not is_caller(context.identity) or isinstance(operation, Ping):
                return inner(operation, context)
            whole = _WHOLE.get(type(operation))
            permitted = self._permitted(operation if whole is None else whole(operation), context.identity)
            if isinstance(permitted, Result):
                return permitted
            return inner(permitted if whole is None else operation, context)

        return call

    def _permitted(self, operation: Operation, identity: Identity) -> Operation | Result:
        """The operation on the caller's entries, or its result if it is about none of them.

        :raises PermissionDenied: if the rules do not permit it.
        """
        if isinstance(operation, Batch):
            return replace(operation, operations=tuple(self._part(part, identity) for part in operation.operations))
        reaches = set()
        for action in _NEEDED.get(type(operation), ("read",)):
            reach = self.of(action).reach(identity)
            if reach == "no rows":
                granted = f"{action} access to the store {self._store!r} is granted only to: {self.of(action)}"
                raise self._denied(granted, operation)
            reaches.add(reach)
        return self._owned(operation, own_prefix(identity)) if "own rows" in reaches else operation

    def _part(self, part: Operation, identity: Identity) -> Operation:
        permitted = self._permitted(part, identity)
        if isinstance(permitted, Result):
            raise self._not_own(part)
        return permitted

    def _owned(self, operation: Operation, own: str) -> Operation | Result:
        narrow = _NARROWED.get(type(operation))
        if narrow is not None:
            return narrow(operation, own)
        if isinstance(operation, Put) and operation.entry.key.startswith(own):
            return operation
        raise self._not_own(operation)

    def _not_own(self, operation: Operation) -> PermissionDenied:
        only = "callers have only those entries of it whose keys begin with their own id and a slash"
        return self._denied(f"the store {self._store!r} does not permit this: {only}", operation)

    def _denied(self, reason: str, operation: Operation) -> PermissionDenied:
        return PermissionDenied(reason, backend=self._store, operation=operation.kind)


def own_prefix(identity: Identity) -> str:
    """What the keys of a caller's own entries begin with."""
    return f"{(identity.subject or '').replace('~', '~0').replace('/', '~1')}/"


def _fetch(operation: Fetch, own: str) -> Operation | Result:
    return operation if operation.key.startswith(own) else Result(value=None)


def _fetch_many(operation: FetchMany, own: str) -> Operation | Result:
    return FetchMany(tuple(key for key in operation.keys if key.startswith(own)))


def _remove(operation: Remove, own: str) -> Operation | Result:
    if operation.key.startswith(own):
        return operation
    if operation.expected is not None:
        raise changed(operation.key, absent=False)
    return Result(value=False)


def _listed(operation: Scan | Search, own: str) -> Operation | Result:
    prefix = _within(operation.prefix, own)
    return Result(value=[]) if prefix is None else replace(operation, prefix=prefix)


def _clear(operation: Clear, own: str) -> Operation | Result:
    prefix = _within(operation.prefix, own)
    return Result(value=0) if prefix is None else replace(operation, prefix=prefix)


def _within(prefix: str, own: str) -> str | None:
    """The part of a prefix that is the caller's own; None if there is none."""
    if prefix.startswith(own):
        return prefix
    return own if own.startswith(prefix) else None


_NARROWED: Final[dict[type[Operation], Callable[[Any, str], Operation | Result]]] = {
    Fetch: _fetch,
    FetchMany: _fetch_many,
    Remove: _remove,
    Scan: _listed,
    Search: _listed,
    Clear: _clear,
}
