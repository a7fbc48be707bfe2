"""Which database may answer a read in place of another."""

from __future__ import annotations

from database.adapters.base import DatabaseAdapter
from database.core.access import is_caller
from database.core.context import current_context
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Select


def may_stand_in(adapter: DatabaseAdapter, absent: DatabaseAdapter, operation: Operation) -> bool:
    """Whether ``adapter`` shows the current caller no more than ``absent`` would.

    Where the absent one applies row level security and the other does not, only what everybody may read
    is answered, and anything to the application itself.
    """
    if adapter.capabilities.row_security or not absent.capabilities.row_security:
        return True
    if not is_caller(current_context.get().identity):
        return True
    if not isinstance(operation, Get | Select) or operation.table not in absent.schema:
        return False
    return absent.schema.table(operation.table).rules.read.names("anyone")
