"""A process that syncs all the time, over lines that are cut, until it is killed."""

from __future__ import annotations

import multiprocessing
from multiprocessing.process import BaseProcess
from time import monotonic
from time import sleep
from typing import Any
from typing import Final

from database.sync import SyncManager
from tests.integration.sync.real_pairs.places import ADAPTERS
from tests.integration.sync.real_pairs.places import Place

PATIENCE: Final = 60.0  # seconds; only a broken sync needs them

# A server that has imported this module already spares every process most of its start.
_context: Final = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__])


class Syncing:
    """Keeps two databases equal in a process of its own; ``kill`` and ``start`` are what a crash is.

    :param options: of the manager.
    """

    def __init__(self, places: tuple[Place, Place], **options: Any) -> None:
        self._sides = [(place.kind, place.config) for place in places]
        self._options = options
        # Without a lock, which a killed process would hold for ever.
        self._cycles = _context.RawValue("i", 0)
        self._process: BaseProcess | None = None

    @property
    def cycles(self) -> int:
        """How many cycles were begun, also those that have failed."""
        return int(self._cycles.value)

    def start(self) -> None:
        """Start it."""
        self._process = _context.Process(target=_sync, args=(self._sides, self._options, self._cycles), daemon=True)
        self._process.start()

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process.close()
            self._process = None

    def wait_for_a_cycle(self) -> None:
        """Wait until the next cycle begins, whatever came of the last one."""
        last, until = self.cycles, monotonic() + PATIENCE
        while self.cycles == last:
            assert monotonic() < until, "the sync hangs"
            sleep(0.005)


def _sync(sides: list[tuple[str, dict[str, Any]]], options: dict[str, Any], cycles: Any) -> None:
    first, second = (ADAPTERS[kind](config, name=kind) for kind, config in sides)
    manager = SyncManager(first, second, **options)
    while True:
        cycles.value += 1
        manager.sync_all()
        sleep(0.05)
