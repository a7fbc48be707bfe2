"""The alarm for the space of a disk: it warns in time, and refuses writes before the disk is full."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar
from typing import Final
from typing import Literal
from typing import NamedTuple

from database.core.clock import Clock
from database.core.clock import monotonic
from database.core.context import Context
from database.core.operations import Batch
from database.core.operations import Operation
from database.core.result import Result
from database.resilience.stages import Handler
from storage.core.capabilities import StoreCapabilities
from storage.core.errors import StorageCapacityError
from storage.core.errors import StorageConfigurationError
from storage.core.layer import Layer
from storage.core.operations import Put

logger = logging.getLogger(__name__)

EVERY: Final = 10.0


class Space(NamedTuple):
    """The space of a disk, in bytes."""

    total: int
    free: int
    state: Literal["enough", "low", "full"]


class DiskSpace(Layer):
    """Watches the disk of a folder, and looks at it before a write, if the last look is some time ago.

    :param folder: that of the files, or of the database.
    :param low: the share of free space, from 0 to 1, below which it warns.
    :param full: the share below which writes are refused. Deletions never are.
    :param every: seconds between two looks.
    :param told: called with each change of the state.
    :param usage: the total and the free bytes of the disk of a folder.
    """

    name: ClassVar[str] = "disk_space"

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        low: float = 0.1,
        full: float = 0.02,
        every: float = EVERY,
        told: Callable[[Space], object] = lambda _: None,
        usage: Callable[[Path], tuple[int, int]] | None = None,
        clock: Clock = monotonic,
    ) -> None:
        super().__init__()
        if not 0 <= full <= low <= 1:
            raise StorageConfigurationError("the shares of free space must be 0 <= full <= low <= 1")
        self._folder = Path(folder).absolute()
        self._shares = {"full": full, "low": low}
        self._every = every
        self._told = told
        self._usage = usage or _usage
        self._clock = clock
        self._next_look = -1.0
        self._state = "enough"

    def offers(self, inner: StoreCapabilities) -> StoreCapabilities:
        return inner

    def around(self, inner: Handler) -> Handler:
        def call(operation: Operation, context: Context) -> Result:
            if _stores(operation):
                self._require_space()
            return inner(operation, context)

        return call

    def space(self) -> Space:
        """Look at the disk now; a change of the state is logged and told."""
        total, free = self._usage(self._folder)
        space = Space(total, free, self._state_of(free / total if total else 1.0))
        self._next_look = self._clock() + self._every
        self.counts["free_bytes"] = free
        if space.state != self._state:
            self._state = space.state
            level = logging.INFO if space.state == "enough" else logging.WARNING
            logger.log(
                level,
                "the disk of %s is %s: %d of %d bytes are free",
                *(self._folder, {"enough": "large enough again"}.get(space.state, space.state), free, total),
            )
            self._told(space)
        return space

    def _state_of(self, share: float) -> Literal["enough", "low", "full"]:
        if share < self._shares["full"]:
            return "full"
        return "low" if share < self._shares["low"] else "enough"

    def _require_space(self) -> None:
        if self._clock() >= self._next_look:
            self.space()
        if self._state == "full":
            self.counts["refused"] += 1
            raise StorageCapacityError(
                f"the disk of {self._folder} has less than {self._shares['full']:.0%} of its space left, so nothing is"
                " stored there; delete entries or other files"
            )


def _stores(operation: Operation) -> bool:
    return isinstance(operation, Put) or (isinstance(operation, Batch) and any(map(_stores, operation.operations)))


def _usage(folder: Path) -> tuple[int, int]:
    # The folder is made by the first write.
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    found = shutil.disk_usage(folder)
    return found.total, found.free
