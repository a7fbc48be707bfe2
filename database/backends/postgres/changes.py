"""The change feed, from the log that triggers write in PostgreSQL; read directly or over Supabase's HTTP API.

``database/schema/migrations/capture/read.sql`` defines the function that reads it.
"""

from __future__ import annotations

from itertools import chain
from itertools import repeat
from typing import Any
from typing import Final

import orjson
from psycopg import sql
from psycopg.errors import InvalidSchemaName
from psycopg.errors import UndefinedFunction

from database.backends.postgres.call import PostgresCall
from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.changes.feed import as_change
from database.changes.feed import no_log
from database.core.errors import InvalidQuery
from database.core.errors import SchemaMismatch
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.result import Result

_READ: Final = sql.SQL("select isthmus_changes.read({}, {})")


def read(call: PostgresCall, operation: ReadChanges, beginning: str) -> Result:
    """Read one page of the log.

    :param beginning: begins the transaction in which it is read.
    :raises InvalidQuery: for an invalid cursor.
    :raises SchemaMismatch: if the log is not installed.
    :raises Unsupported: on a standby.
    """
    try:
        answer = call.value_alone(beginning, _READ.format(operation.cursor, operation.limit).as_string())
    except InvalidQuery as error:
        if isinstance(error.__cause__, InvalidSchemaName | UndefinedFunction):
            raise no_log() from error.__cause__
        raise
    return Result(value=page(orjson.loads(answer or b"null")))


def page(answer: Any) -> Changes:
    """Parse the result of ``isthmus_changes.read``.

    :raises Unsupported: if the server is a standby.
    :raises SchemaMismatch: if the function is of a former version.
    :raises Unavailable: if the result is malformed.
    """
    match answer:
        case {"entries": list(entries), "cursor": str(cursor), "more": bool(more), "gap": bool(gap)}:
            told = chain.from_iterable(zip(repeat(table), ids, repeat(kind)) for table, kind, ids in entries)
            return Changes(tuple(map(as_change, told)), cursor, more, gap)
        case {"changes": list()}:
            raise SchemaMismatch("the log of changes is of a former version; run `flask db upgrade`, which renews it")
        case {"standby": True}:
            raise Unsupported("changes", detail="the server is a standby; read the change feed from the primary")
    raise Unavailable("the function isthmus_changes returned a malformed page of changes")
