"""Follows the recorded primary: asks for it now and then, and lets writes wait while they are held."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Sequence
from threading import Lock
from time import sleep
from typing import Any
from typing import Final

from database.adapter.base import DatabaseAdapter
from database.core.clock import Clock
from database.core.errors import DataError
from database.failover.recorded import RecordedPrimary
from database.failover.recorded import answer_of
from database.failover.recorded import highest
from database.failover.state import Failover

logger = logging.getLogger(__name__)

_PAUSE: Final = 0.05
"""Seconds between two questions while writes are held."""

_SILENCE: Final = 30.0
"""Seconds for which a database that did not answer is not asked, as long as another one answers. Calls wait for each
question, and an outage of one database must not delay the calls of the other. A move records in both."""


class Leading:
    """The recorded primary, as this process knows it.

    :param interval: seconds for which the last answer is used; 0 never asks.
    :param led: called with the name of the new primary.
    """

    def __init__(self, failover: Failover, interval: float, led: Callable[[str], object], clock: Clock) -> None:
        self._failover = failover
        self._interval = interval if len(failover.adapters) > 1 else 0.0
        self._led = led
        self._clock = clock
        self._asking = Lock()
        self._due = 0.0
        self._known: RecordedPrimary | None = None
        self._held_until = 0.0
        self._silent_until: dict[str, float] = {}

    def check(self) -> None:
        """Ask for the record if the last answer is too old. Others wait meanwhile, so that none uses a former one."""
        if not self._interval or self._clock() < self._due:
            return
        with self._asking:
            if self._clock() >= self._due:
                self._ask()

    def wait_while_held(self) -> None:
        """Let a write wait while writes are held."""
        while self._clock() < self._held_until:
            sleep(_PAUSE)
            with self._asking:
                if self._clock() < self._held_until:
                    self._ask()

    def snapshot(self) -> dict[str, Any] | None:
        """The recorded primary for the status; None if there is none."""
        known = self._known
        held = self._clock() < self._held_until
        return None if known is None else {"name": known.name, "epoch": known.epoch, "writes_held": held}

    def _ask(self) -> None:
        """Ask the database that costs least; if it has no record, or does not respond, all."""
        # From before the question: a record that the answer lacks was made later.
        began = self._clock()
        adapters = sorted(
            self._failover.adapters.values(), key=lambda one: (self._is_silent(one), one.capabilities.sql != "native")
        )
        found = self._highest(adapters[:1]) if self._known is not None else None
        found = found or self._highest(adapters)
        if found is not None and (self._known is None or found.epoch > self._known.epoch):
            self._follow(found)
        self._due = began + self._interval

    def _highest(self, adapters: Sequence[DatabaseAdapter]) -> RecordedPrimary | None:
        """The record with the highest epoch. Who did not answer lately is asked only if nobody else answers."""
        silent = [one for one in adapters if self._is_silent(one)]
        answers = self._answers([one for one in adapters if one not in silent])
        return highest(answers or self._answers(silent))

    def _is_silent(self, adapter: DatabaseAdapter) -> bool:
        return self._clock() < self._silent_until.get(adapter.name, 0.0)

    def _answers(self, adapters: Sequence[DatabaseAdapter]) -> list[RecordedPrimary | None]:
        answers = []
        for one in adapters:
            try:
                answers.append(answer_of(one))
            except DataError:
                self._silent_until[one.name] = self._clock() + _SILENCE
        return answers

    def _follow(self, found: RecordedPrimary) -> None:
        self._known = found
        if found.name not in self._failover.adapters:
            logger.warning("the recorded primary %s is not in DB_ADAPTER_ORDER and is ignored", found.name)
            return
        if self._failover.lead(found.name):
            logger.warning("%s is the primary now (epoch %d)", found.name, found.epoch)
            self._led(found.name)
        # Only after the change of the primary, so that no write passes in between.
        self._held_until = self._clock() + found.held if found.held else 0.0
