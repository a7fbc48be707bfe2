"""The deployment's functions on records, as operations: so that a transaction can call them and see what they did.

A mutation runs in a Convex transaction of its own, and its answer would come only with the commit. What ``create``,
``update`` and ``remove`` of a declared table do is known, however, because ``database/convex_functions`` has them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final

from database.adapters.convex.codec import encode
from database.core.context import SERVICE
from database.core.context import Identity
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.errors import PermissionDenied
from database.core.operations import Call
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.query import Order
from database.core.result import Result
from database.core.result import Row
from database.core.schema import Schema
from database.core.schema import TableSchema
from database.core.values import TIMESTAMP

DEFAULT_LIMIT: Final = 100
_WRITERS: Final = frozenset({"create", "update", "remove"})


def record_operation(call: Call, schema: Schema, identity: Identity | None) -> Operation | None:
    """What a function on records does; None for any other function.

    :raises PermissionDenied: where the function itself would refuse the caller.
    """
    module, _, verb = call.function.partition(":")
    make = _OPERATIONS.get(verb)
    if make is None or module not in schema or schema.table(module).internal:
        return None
    if verb in _WRITERS:
        _require(identity, admin=verb == "remove")
    return make(schema.table(module), call.arguments)


def record_value(call: Call, schema: Schema, result: Result) -> Any:
    """What the function returns. :raises NotFound: for a record to change that is not there."""
    module, _, verb = call.function.partition(":")
    if verb in {"update", "remove"} and not result.count:
        raise NotFound("there is no such record")
    if verb == "remove":
        return None
    records = [_shown(schema.table(module), row) for row in result.rows]
    return records if verb == "list" else next(iter(records), None)


def _shown(table: TableSchema, row: Row) -> Row:
    """A record as a function returns it, with times as text."""
    times = [name for name, column in table.columns.items() if column.kind is TIMESTAMP]
    return row | {name: encode(table.columns[name], row[name]) for name in times}


def _require(identity: Identity | None, *, admin: bool) -> None:
    if identity is None or identity.role == SERVICE.role:
        return
    if identity.subject is None:
        raise PermissionDenied("sign in to change records")
    metadata = identity.claims.get("app_metadata")
    if admin and (not isinstance(metadata, Mapping) or metadata.get("role") != "admin"):
        raise PermissionDenied("removing records takes the role admin")


def _list(table: TableSchema, arguments: Mapping[str, Any]) -> Operation:
    limit = arguments.get("limit", DEFAULT_LIMIT)
    return Select(table.name, order=(Order("id"),), limit=int(limit) if isinstance(limit, float) else limit)


def _argument(arguments: Mapping[str, Any], name: str) -> Any:
    try:
        return arguments[name]
    except KeyError:
        raise InvalidQuery(f"the function needs the argument {name!r}") from None


_OPERATIONS: Mapping[str, Callable[[TableSchema, Mapping[str, Any]], Operation]] = {
    "list": _list,
    "get": lambda table, arguments: Get(table.name, _argument(arguments, "id")),
    "create": lambda table, arguments: Insert(table.name, [_argument(arguments, "data")]),
    "update": lambda table, arguments: Update(table.name, _argument(arguments, "data"), id=_argument(arguments, "id")),
    "remove": lambda table, arguments: Delete(table.name, id=_argument(arguments, "id")),
}
