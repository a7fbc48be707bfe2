"""The public names of sync: Supabase is the first side, Convex the second."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import Final
from typing import Literal

from database.adapter.base import DatabaseAdapter
from database.sync.manager import SyncManager
from database.sync.manager import Target
from database.sync.options import DEFAULT_INTERVAL
from database.sync.options import DEFAULT_RESOLUTION
from database.sync.options import from_config
from database.sync.strategies import Resolver

DocumentedTarget = Literal["both", "supabase", "convex"]

_TARGETS: Final[Mapping[str, Target]] = {"supabase": "first", "convex": "second"}
_STRATEGIES: Final[Mapping[str, str]] = {"supabase_wins": "first_wins", "convex_wins": "second_wins"}


def neutral_strategy(strategy: str | Resolver) -> str | Resolver:
    """Convert a public strategy name to the name that sync uses internally."""
    return _STRATEGIES.get(strategy, strategy) if isinstance(strategy, str) else strategy


class ConvexSyncManager(SyncManager):
    """Keeps a Supabase database and a Convex deployment equal; either may be any adapter with a change feed.

    :param conflict_resolution: as :class:`~database.sync.manager.SyncManager`, or ``supabase_wins`` or ``convex_wins``.
    """

    def __init__(
        self,
        supabase_adapter: DatabaseAdapter,
        convex_adapter: DatabaseAdapter,
        sync_interval: float = DEFAULT_INTERVAL,
        sync_tables: Sequence[str] | None = None,
        conflict_resolution: str | Resolver = DEFAULT_RESOLUTION,
    ) -> None:
        strategy = neutral_strategy(conflict_resolution)
        super().__init__(supabase_adapter, convex_adapter, sync_interval, sync_tables, strategy)

    def force_sync_record(self, table: str, record_id: str, target: Target | DocumentedTarget = "both") -> bool:
        """Reconcile one record now; ``supabase`` and ``convex`` are the first and the second side."""
        return super().force_sync_record(table, record_id, _TARGETS.get(target, target))  # type: ignore[arg-type]


def create_sync_manager(
    supabase: DatabaseAdapter, convex: DatabaseAdapter, config: Mapping[str, Any] | None = None
) -> ConvexSyncManager:
    """Create a sync manager, which is not started.

    :param config: ``sync_interval``, ``sync_tables`` and ``conflict_resolution``, as for :class:`ConvexSyncManager`;
        missing options are taken from the settings ``CONVEX_SYNC_INTERVAL``, ``CONVEX_SYNC_TABLES`` and
        ``CONVEX_CONFLICT_RESOLUTION``.
    :raises ConfigurationError: names every invalid option.
    :raises Unsupported: for an adapter without a change feed.
    """
    return ConvexSyncManager(supabase, convex, **from_config(config or {}))
