"""The way back to the primary after a start without it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

_INTERVAL = 0.5


class FailBack:
    """Watches the primary in a thread of its own and returns to it when it has been well for a while.

    :param is_well: asks the primary for a sign of life.
    :param give_back: makes the primary the active adapter.
    :param after: seconds that it must be well without a break.
    """

    def __init__(self, is_well: Callable[[], bool], give_back: Callable[[], None], after: float) -> None:
        self._is_well = is_well
        self._give_back = give_back
        self._rounds = max(1, round(after / _INTERVAL))
        self._forbidden = False
        self._stopped = threading.Event()

    @property
    def forbidden(self) -> bool:
        """Whether the stand-in has to stay active."""
        return self._forbidden

    def start(self) -> None:
        """Begin to watch, anew if that is under way."""
        self._stopped.set()
        self._stopped = threading.Event()
        threading.Thread(target=self._watch, args=(self._stopped,), name="isthmus-failback", daemon=True).start()

    def stop(self) -> None:
        """Stop watching, and forget that returning was forbidden."""
        self._stopped.set()
        self._forbidden = False

    def forbid(self) -> None:
        """Never return: the stand-in is taking a write that the primary does not have."""
        if not self._forbidden:
            self._forbidden = True
            logger.warning("a write goes to the stand-in, which stays active until both are equal again")

    def _watch(self, stopped: threading.Event) -> None:
        well = 0
        while not self._forbidden and not stopped.wait(_INTERVAL):
            well = well + 1 if self._is_well() else 0
            if well >= self._rounds and not stopped.is_set():
                self._give_back()
                return
