"""Processes that keep a Supabase database and a Convex deployment equal, until they are killed or all is quiet."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import BaseProcess
from typing import Any
from typing import Final

from database.backends.convex import ConvexAdapter
from database.backends.postgres import SupabaseDirectAdapter
from database.sync import SyncManager
from database.sync.progress import COUNTS

_STEPS: Final = [name for name in COUNTS if name != "compared"]

# A server that has imported this module already spares every process most of its start.
_context: Final = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


@contextmanager
def process_of_sync(config: dict[str, dict[str, Any]], *, until_quiet: bool) -> Iterator[BaseProcess]:
    """A new process that keeps the two equal; it is gone when the block ends.

    :param config: the adapters' configurations, ``supabase`` and ``convex``.
    :param until_quiet: end after a cycle that had nothing to do. Otherwise it does not end by itself.
    """
    process = _context.Process(target=_sync, args=(config, until_quiet), daemon=True)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
        process.close()


def _sync(config: dict[str, dict[str, Any]], until_quiet: bool) -> None:
    manager = SyncManager(SupabaseDirectAdapter(config["supabase"]), ConvexAdapter(config["convex"]))
    steps = 0
    while True:
        complete, before = manager.sync_all(), steps
        steps = _carried_out(manager.get_sync_status())
        if until_quiet and complete and steps == before:
            return


def _carried_out(status: dict[str, Any]) -> int:
    """How many steps there have been."""
    return sum(counts[name] for counts in status["tables"].values() for name in _STEPS)
