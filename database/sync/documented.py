"""The public names of sync: Supabase is the first side, Convex the second."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import Literal
from typing import cast

from database.adapter.base import DatabaseAdapter
from database.sync.conflicts.strategies import Policies
from database.sync.conflicts.strategies import Strategies
from database.sync.conflicts.units import ConflictUnit
from database.sync.manager import SyncManager
from database.sync.manager import Target
from database.sync.options import DEFAULT_INTERVAL
from database.sync.options import DEFAULT_RESOLUTION
from database.sync.options import from_config
from database.sync.three_way_merge import SideName

DocumentedSide = Literal["supabase", "convex"]
DocumentedTarget = Literal["both"] | DocumentedSide

_SIDES: Final[Mapping[str, SideName]] = {"supabase": "first", "convex": "second"}


def neutral_side(side: SideName | DocumentedSide | None) -> SideName | None:
    """Convert a public name of a side to the name that sync uses internally."""
    return _SIDES.get(side, side)  # type: ignore[arg-type]


class ConvexSyncManager(SyncManager):
    """Keeps a Supabase database and a Convex deployment equal; either may be any adapter with a change feed.

    :param sync_numbers: as :class:`~database.sync.manager.SyncManager`, or ``supabase`` or ``convex``.
    """

    def __init__(  # noqa: PLR0913 - the documented parameters, the others by name
        self,
        supabase_adapter: DatabaseAdapter,
        convex_adapter: DatabaseAdapter,
        sync_interval: float = DEFAULT_INTERVAL,
        sync_tables: Sequence[str] | None = None,
        conflict_resolution: Strategies = DEFAULT_RESOLUTION,
        sync_numbers: SideName | DocumentedSide | None = None,
        *,
        conflict_deletes: Policies | None = None,
        conflict_units: Sequence[ConflictUnit] = (),
        audit_rows: int = 0,
    ) -> None:
        super().__init__(
            supabase_adapter,
            convex_adapter,
            sync_interval,
            sync_tables,
            conflict_resolution,
            neutral_side(sync_numbers),
            conflict_deletes=conflict_deletes,
            conflict_units=conflict_units,
            audit_rows=audit_rows,
        )

    def force_sync_record(self, table: str, record_id: str, target: Target | DocumentedTarget = "both") -> bool:
        """Reconcile one record now; ``supabase`` and ``convex`` are the first and the second side."""
        return super().force_sync_record(table, record_id, cast("Target", _SIDES.get(target, target)))


def create_sync_manager(
    supabase: DatabaseAdapter, convex: DatabaseAdapter, config: Mapping[str, Any] | None = None
) -> ConvexSyncManager:
    """Create a sync manager, which is not started.

    :param config: ``sync_interval``, ``sync_tables``, ``conflict_resolution``, ``sync_numbers``, ``conflict_deletes``,
        ``conflict_units`` and ``audit_rows``, as for :class:`ConvexSyncManager`; missing options are taken from the
        settings ``CONVEX_SYNC_INTERVAL``, ``CONVEX_SYNC_TABLES``, ``CONVEX_CONFLICT_RESOLUTION``,
        ``CONVEX_SYNC_NUMBERS``, ``CONVEX_CONFLICT_DELETES`` and ``CONVEX_AUDIT_ROWS``.
    :raises ConfigurationError: names every invalid option.
    :raises Unsupported: for an adapter without a change feed.
    """
    return ConvexSyncManager(supabase, convex, **from_config(config or {}))
