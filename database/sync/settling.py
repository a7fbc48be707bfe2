"""Settles records: looks at both sides, carries out what is to be done, and does not let one record stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from threading import RLock
from typing import Any
from typing import Final

from database.core.errors import Conflict
from database.core.errors import RequestError
from database.core.errors import UnreadableRecord
from database.sync.decision import SIDES
from database.sync.decision import Decide
from database.sync.decision import Key
from database.sync.decision import Step
from database.sync.decision import View
from database.sync.failures import Failures
from database.sync.progress import Progress
from database.sync.side import Pair
from database.sync.side import Side

logger = logging.getLogger(__name__)

CHUNK: Final = 100
"""Records that are looked at and written together."""

_MOST_TURNS: Final = 20
"""How often a record is looked at again because it has changed meanwhile."""

Failed = dict[Key, RequestError | UnreadableRecord]
Told = Callable[..., Any]


class StoppedError(Exception):
    """The cycle was asked to stop; what it has not looked at is left for the next one."""


class Settler:
    """Brings records of a pair together.

    :param on_conflict: is told of every settled conflict: table, record id, and both rows as they were.
    :param on_failure: is told of every record that could not be written, once for each reason.
    """

    def __init__(
        self,
        pair: Pair,
        failures: Failures,
        progress: Progress,
        on_conflict: Told,
        on_failure: Told,
    ) -> None:
        self._sides = pair.sides
        self._places = {table: place for place, table in enumerate(pair.tables)}
        self._failures = failures
        self._progress = progress
        self._on_conflict = on_conflict
        self._on_failure = on_failure
        # One chunk at a time: the caller of a forced sync does not wait for a whole cycle.
        self._lock = RLock()

    def settle(
        self, keys: Iterable[Key], session: str, decide: Decide, stopped: Callable[[], bool]
    ) -> tuple[int, Failed]:
        """Settle records; how many steps it took, and what could not be written.

        What fails is tried again as long as others succeed, because it may have waited for them.

        :raises StoppedError: before the next chunk, once ``stopped`` says so.
        :raises BackendError: if a side does not answer.
        """
        wanted = sorted(set(keys), key=lambda key: (self._places[key.table], key.id))
        pending, failed, steps = wanted, Failed(), 0
        while pending:
            failed = {}
            for chunk in _chunks(pending):
                if stopped():
                    raise StoppedError
                with self._lock:
                    steps += self._settle_chunk(chunk, session, decide, failed)
            if len(failed) == len(pending):
                break
            pending = list(failed)
        self._note(wanted, failed)
        return steps, failed

    def _note(self, keys: Sequence[Key], failed: Failed) -> None:
        with self._lock:
            news = self._failures.note(keys, failed)
        for key in news:
            logger.warning("a record of %s cannot be synced: %s", key.table, failed[key])
            self._on_failure(failed[key])

    def _settle_chunk(self, keys: Sequence[Key], session: str, decide: Decide, failed: Failed) -> int:
        done = 0
        self._progress.compared(keys)
        for _ in range(_MOST_TURNS):
            steps = self._decided(keys, session, decide, failed)
            again: list[Key] = []
            for side in self._sides:
                carried_out, moved = self._carry_out(
                    side, [step for step in steps if step.side == side.name], session, failed
                )
                done += len(carried_out)
                again += [*moved, *(step.key for step in carried_out if step.more)]
            if not again:
                return done
            keys = again
        failed |= dict.fromkeys(keys, Conflict("the record keeps changing"))
        return done

    def _decided(self, keys: Sequence[Key], session: str, decide: Decide, failed: Failed) -> list[Step]:
        """What is to be done, in the order of the keys."""
        held = {side.name: side.held(keys, session) for side in self._sides}
        steps: list[Step] = []
        for key in keys:
            fault = next((held[name][key].fault for name in SIDES if held[name][key].fault is not None), None)
            if fault is not None:
                failed[key] = fault
                continue
            try:
                step = decide(View(key, *[held[name][key] for name in SIDES]))
            except RequestError as error:
                failed[key] = error
                continue
            if step is not None:
                steps.append(step)
        return steps

    def _carry_out(
        self, side: Side, steps: Sequence[Step], session: str, failed: Failed
    ) -> tuple[list[Step], list[Key]]:
        """The steps that were carried out, and the records that have changed meanwhile."""
        if not steps:
            return [], []
        try:
            side.apply(steps, session)
        except RequestError as error:
            if len(steps) > 1:
                parts = [self._carry_out(side, [step], session, failed) for step in steps]
                return [step for done, _ in parts for step in done], [key for _, moved in parts for key in moved]
            if isinstance(error, Conflict):
                return [], [steps[0].key]
            failed[steps[0].key] = error
            return [], []
        self._report(steps)
        return list(steps), []

    def _report(self, steps: Sequence[Step]) -> None:
        self._progress.carried_out(steps)
        for step in steps:
            if step.conflict is not None:
                view = step.conflict.view
                self._on_conflict(*view.key, view.supabase.row, view.convex.row)


def _chunks(keys: Sequence[Key]) -> Iterator[Sequence[Key]]:
    for start in range(0, len(keys), CHUNK):
        yield keys[start : start + CHUNK]
