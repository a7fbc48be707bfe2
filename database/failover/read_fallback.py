"""Decides which database may answer a read in place of an unavailable one."""

from __future__ import annotations

from collections.abc import Callable

from database.adapter.base import DatabaseAdapter
from database.adapter.transactions import Commit
from database.core.context import Context
from database.core.context import current_context
from database.core.errors import Unavailable
from database.core.operations import Batch
from database.core.operations import Get
from database.core.operations import Operation
from database.core.operations import Select
from database.core.operations import reads_only
from database.core.result import Result
from database.core.tables.access_rules import is_caller
from database.failover.state import Failover
from database.resilience.stages import Handler


def may_stand_in(adapter: DatabaseAdapter, absent: DatabaseAdapter, operation: Operation) -> bool:
    """Whether ``adapter`` shows the current caller no more rows than the unavailable ``absent`` would.

    If only ``absent`` applies row level security, ``adapter`` answers reads of tables that everybody may read, and all
    reads of the application itself.
    """
    if adapter.capabilities.row_security or not absent.capabilities.row_security:
        return True
    if not is_caller(current_context.get().identity):
        return True
    if isinstance(operation, Batch):
        return all(may_stand_in(adapter, absent, part) for part in operation.operations)
    if not isinstance(operation, Get | Select) or operation.table not in absent.schema:
        return False
    return absent.schema.table(operation.table).rules.read.names("anyone")


def standing_in(
    name: str, adapter: DatabaseAdapter, absent: DatabaseAdapter, failover: Failover
) -> Callable[[Handler], Handler]:
    """Return a layer for the calls of a transaction on ``adapter``, the fallback for ``absent``.

    Reads are answered as outside of transactions; writes are refused.

    :param name: the fallback's name, for its results.
    :param failover: the failover whose primary is ``absent``.
    """

    def layer(handler: Handler) -> Handler:
        def call(operation: Operation, context: Context) -> Result:
            if isinstance(operation, Commit):
                return handler(operation, context)
            if not reads_only(operation):
                message = (
                    f"{absent.name} is unavailable, and its fallback {adapter.name} accepts no writes; retry later"
                )
                raise Unavailable(message, backend=absent.name, operation=operation.kind)
            if not may_stand_in(adapter, absent, operation):
                message = (
                    f"{absent.name} is unavailable, and the fallback {adapter.name} cannot apply the row level security"
                    f" of {absent.name}; try again later"
                )
                raise Unavailable(message, backend=absent.name, operation=operation.kind)
            result = handler(operation, context)
            result.source, result.stale_for = name, failover.silent_for
            return result

        return call

    return layer
