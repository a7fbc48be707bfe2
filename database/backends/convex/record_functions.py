"""The deployment's record functions as operations, so that a transaction can call them and see their results.

Other mutations run in a Convex transaction of their own, so their results are known only at the commit. The effect of a
function made by ``recordFunctions`` in ``lib/record_functions.ts`` is known in advance, and the deployment lists these
functions. The table's access rules apply to them as to every operation.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from typing import Any
from typing import Final

from database.backends.convex.codec import encode
from database.backends.convex.codec import plain
from database.backends.convex.functions import RecordFunction
from database.backends.convex.functions import Verb
from database.core.errors import InvalidQuery
from database.core.errors import NotFound
from database.core.kinds.values import TIMESTAMP
from database.core.operations import Call
from database.core.operations import Delete
from database.core.operations import Get
from database.core.operations import Insert
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import Update
from database.core.result import Result
from database.core.result import Row
from database.core.tables.schema import TableSchema

_DEFAULT_LIMIT: Final = 100
_MAX_LIMIT: Final = 1_000
"""The same limits as in ``lib/records.ts``."""

_TAKES: Final[Mapping[Verb, frozenset[str]]] = {
    "list": frozenset({"limit"}),
    "get": frozenset({"id"}),
    "create": frozenset({"data"}),
    "update": frozenset({"id", "data"}),
    "remove": frozenset({"id"}),
}
"""The arguments of each function; all but ``limit`` are required."""


def record_operation(call: Call, function: RecordFunction) -> Operation:
    """The operation that a record function performs.

    :raises InvalidQuery: for arguments that the function itself would refuse.
    """
    arguments = call.arguments
    takes = _TAKES[function.verb]
    if arguments.keys() - {"limit"} != takes - {"limit"} or arguments.keys() - takes:
        raise InvalidQuery(f"the arguments of {call.function} must be: {', '.join(sorted(takes))}")
    if "data" in takes:
        _check_columns(call.function, arguments["data"], function.columns)
    return _OPERATIONS[function.verb](function.table, arguments)


def record_value(function: RecordFunction, table: TableSchema, result: Result) -> Any:
    """The function's return value. :raises NotFound: if the record to change does not exist."""
    if function.verb in {"update", "remove"} and not result.count:
        raise NotFound(f"table {table.name!r} has no record with this id")
    if function.verb == "remove":
        return None
    records = [_shown(table, row) for row in result.rows]
    return records if function.verb == "list" else next(iter(records), None)


def _check_columns(name: str, data: Any, columns: tuple[str, ...]) -> None:
    if not isinstance(data, Mapping):
        raise InvalidQuery(f"the argument 'data' of {name} must be an object")
    if unknown := sorted(map(str, data.keys() - set(columns))):
        raise InvalidQuery(
            f"the argument 'data' of {name} has unknown columns: {', '.join(unknown)[:200]};"
            f" it may contain {', '.join(columns)}"
        )


def _shown(table: TableSchema, row: Row) -> Row:
    """A record as a function returns it: values for which Convex has no type are as they are stored."""
    others = [name for name, column in table.columns.items() if column.kind is TIMESTAMP or column.kind.storage]
    return row | {name: plain(encode(table.columns[name], row[name])) for name in others}


def _list(table: str, arguments: Mapping[str, Any]) -> Operation:
    limit = arguments.get("limit", _DEFAULT_LIMIT)
    if isinstance(limit, bool) or not isinstance(limit, int | float) or limit != limit // 1:
        raise InvalidQuery("the argument 'limit' must be a whole number")
    return Select(table, limit=int(max(0, min(limit, _MAX_LIMIT))))


_OPERATIONS: Mapping[Verb, Callable[[str, Mapping[str, Any]], Operation]] = {
    "list": _list,
    "get": lambda table, arguments: Get(table, arguments["id"]),
    "create": lambda table, arguments: Insert(table, [arguments["data"]]),
    "update": lambda table, arguments: Update(table, arguments["data"], id=arguments["id"]),
    "remove": lambda table, arguments: Delete(table, id=arguments["id"]),
}
