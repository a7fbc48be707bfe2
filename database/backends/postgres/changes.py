"""The log of changes that triggers keep in PostgreSQL, as a feed; reached directly, or over Supabase's HTTP interface.

How it is read stands in ``database/schema/migrations/capture/read.sql``.
"""

from __future__ import annotations

from typing import Any
from typing import Final

from psycopg.errors import InvalidSchemaName
from psycopg.errors import UndefinedFunction

from database.changes.feed import Change
from database.changes.feed import Changes
from database.changes.feed import ReadChanges
from database.changes.feed import no_log
from database.core.errors import InvalidQuery
from database.core.errors import Unavailable
from database.core.errors import Unsupported
from database.core.result import Result
from database.sql.operations import SqlConnection

_READ: Final = "select isthmus_changes.read(%s, %s)"


def read(connection: SqlConnection, operation: ReadChanges) -> Result:
    """A page of the log.

    :raises InvalidQuery: for a cursor that is none.
    :raises SchemaMismatch: if there is no log.
    :raises Unsupported: on a standby.
    """
    try:
        ((answer,),) = connection.rows(_READ, (operation.cursor, operation.limit))
    except InvalidQuery as error:
        if isinstance(error.__cause__, InvalidSchemaName | UndefinedFunction):
            raise no_log() from error.__cause__
        raise
    return Result(value=page(answer))


def page(answer: Any) -> Changes:
    """What ``isthmus_changes.read`` has answered.

    :raises Unsupported: it was asked on a standby.
    :raises Unavailable: it is no such answer.
    """
    match answer:
        case {"changes": list(entries), "cursor": str(cursor), "more": bool(more), "gap": bool(gap)}:
            return Changes(tuple(Change(*entry) for entry in entries), cursor, more, gap)
        case {"standby": True}:
            raise Unsupported("changes", detail="this server is a standby; changes are read from the primary only")
    raise Unavailable("isthmus_changes answered something else than changes")
