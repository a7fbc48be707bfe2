"""Every operation is carried out by each backend, or refused by its name: none is forgotten in a table."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Iterator
from typing import Any
from typing import NamedTuple

import pytest

import database
from database.adapter.access_control import AccessRules
from database.adapter.transactions import Commit
from database.backends.buffered.party import Party
from database.backends.buffered.request import CommitRequest
from database.backends.buffered.request import Reservation
from database.backends.buffered.request import Validation
from database.backends.convex.adapter import ConvexAdapter
from database.backends.memory.tables import Tables
from database.backends.sqlite.dialect import DIALECT
from database.backends.supabase.adapter import SupabaseAdapter
from database.changes.feed import ReadChanges
from database.core.context import NO_CONTEXT
from database.core.context import Identity
from database.core.errors import PermissionDenied
from database.core.errors import Unsupported
from database.core.operations import Batch
from database.core.operations import Call
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Ping
from database.core.operations import QueryCall
from database.core.operations import Select
from database.core.operations import Sql
from database.core.operations import Update
from database.core.operations import Upsert
from database.sql.operations import SqlOperations
from tests.contract.tables import SCHEMA

ON_ROWS = {Get, Select, Insert, Upsert, Update, Delete}
COMPOSED = {Sql, Batch}
CALLS = {Call, QueryCall}
COMMITS = {CommitRequest, Validation, Reservation}
"""What a buffered transaction sends when it commits, and for that."""

_NO_CONNECTION: Any = None

OWN = {"_Begin", "_ListFunctions"}
"""Operations that never leave the module that makes them, by name."""


class Dispatch(NamedTuple):
    """A table of handlers, what comes past it to another one or is refused, and how it is asked."""

    table: Collection[type[Operation]]
    elsewhere: set[type[Operation]]
    refused: set[type[Operation]]
    execute: Callable[[Any], object]
    error: type[Exception] = Unsupported


def memory() -> Dispatch:
    tables = Tables(SCHEMA)
    return Dispatch(tables._handlers, set(), {*CALLS, *COMMITS, Commit, ReadChanges}, tables.execute)


def sql() -> Dispatch:
    operations = SqlOperations(SCHEMA, DIALECT)
    refused = {*CALLS, *COMMITS, Commit, ReadChanges}
    return Dispatch(
        operations._handlers, set(), refused, lambda operation: operations.execute(_NO_CONNECTION, operation)
    )


def buffered() -> Dispatch:
    party = Party(SCHEMA, lambda *_: pytest.fail("nothing is to be sent"), None, [], 0)
    # The session takes these apart or sends them.
    elsewhere = {Ping, *COMPOSED, *CALLS}
    refused = {*COMMITS, Commit, ReadChanges}
    return Dispatch(party._loaders, elsewhere, refused, lambda operation: party.execute(operation, NO_CONTEXT))


def convex() -> Dispatch:
    backend = ConvexAdapter({"url": "http://127.0.0.1:9", "key": "key"}, SCHEMA).backend
    # These are made into a transaction before anything is sent.
    written = {*ON_ROWS - {Get, Select}, *COMPOSED, Commit}
    return Dispatch(backend._handlers, set(), written, lambda operation: backend.transmit(operation, NO_CONTEXT))


def supabase() -> Dispatch:
    backend = SupabaseAdapter({"url": "http://127.0.0.1:9", "key": "sb_secret_0123"}, SCHEMA).backend
    written = {*ON_ROWS - {Get, Select}, *COMPOSED, Commit}
    return Dispatch(backend._handlers, set(), written, lambda operation: backend.transmit(operation, NO_CONTEXT))


def access() -> Dispatch:
    rules = AccessRules(ConvexAdapter({"url": "http://127.0.0.1:9", "key": "key"}, SCHEMA).backend)
    caller = Identity("somebody", "authenticated")
    refused = {*COMMITS, ReadChanges}
    return Dispatch(
        rules._judges, set(), refused, lambda operation: rules.permitted(operation, caller), PermissionDenied
    )


def operations(of: type[Operation] = Operation) -> Iterator[type[Operation]]:
    """Every operation of the product."""
    for each in of.__subclasses__():
        yield from operations(each)
        # A dataclass with slots leaves the class behind that it was made of.
        in_use = getattr(sys.modules[each.__module__], each.__name__, None) is each
        if in_use and each.__module__.startswith("database.") and each.__name__ not in OWN:
            yield each


@pytest.fixture(scope="module", autouse=True)
def _everything_loaded() -> None:
    for module in pkgutil.walk_packages(database.__path__, "database."):
        if ".migrations." not in module.name:
            importlib.import_module(module.name)


@pytest.mark.parametrize("dispatch", [memory, sql, buffered, convex, supabase, access])
def test_every_operation_is_in_the_table_or_refused_by_name(dispatch: Callable[[], Dispatch]) -> None:
    table, elsewhere, refused, execute, error = dispatch()
    known = {each for each in table if each.__name__ not in OWN}
    assert known | elsewhere | refused == set(operations())
    assert not (known | elsewhere) & refused
    for each in refused:
        with pytest.raises(error, match=rf"\b{each.kind}\b"):
            execute(object.__new__(each))
