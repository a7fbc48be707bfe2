"""Which database may answer a read in place of another."""

from __future__ import annotations

from database.adapters.base import DatabaseAdapter
from database.core.context import SERVICE
from database.core.context import current_context
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Select


def may_stand_in(adapter: DatabaseAdapter, absent: DatabaseAdapter, operation: Operation) -> bool:
    """Whether ``adapter`` shows the current caller no more than ``absent`` would.

    Where the absent one applies row level security and the other does not, only what everybody may read
    (``info["access"]["read"] == "anyone"``) is answered, and anything to the application itself.
    """
    if adapter.capabilities.row_security or not absent.capabilities.row_security:
        return True
    identity = current_context.get().identity
    if identity is None or identity.role == SERVICE.role:
        return True
    if not isinstance(operation, Get | Select) or operation.table not in absent.schema:
        return False
    access = absent.schema.table(operation.table).source.info.get("access", {})
    return bool(access.get("read") == "anyone")
