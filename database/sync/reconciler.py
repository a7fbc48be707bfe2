"""Reconciles records: reads both sides and applies the merge actions. A record that fails does not stop the others."""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from threading import RLock
from typing import Final

from database.core.errors import Conflict
from database.core.errors import RequestError
from database.sync.bulk.copying import Copying
from database.sync.bulk.marks import require_not_restored
from database.sync.chunks import Chunks
from database.sync.conflicts.strategies import Deciding
from database.sync.conflicts.units import FindKeys
from database.sync.failures import Failures
from database.sync.progress import Progress
from database.sync.side import Pair
from database.sync.side import Side
from database.sync.three_way_merge import SIDES
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import NextAction
from database.sync.three_way_merge import RecordKey
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import SideName
from database.sync.untangling.dependents import with_dependents
from database.sync.untangling.needs import Needs
from database.sync.untangling.ordering import in_order
from database.sync.untangling.part_by_part import Failed
from database.sync.untangling.part_by_part import PartByPart
from database.sync.untangling.part_by_part import is_taken_value

logger = logging.getLogger(__name__)

_MAX_TURNS: Final = 20
"""How often a record is read again because it has changed meanwhile."""

_MAX_PASSES: Final = 10
"""How often failed records are retried while others succeed; the next cycle retries them again."""

Callback = Callable[..., object]


class StoppedError(Exception):
    """The cycle was stopped; the next cycle processes the remaining records."""


class Reconciler:
    """Reconciles the records of a pair.

    :param on_conflict: called for every resolved conflict with table, record id, and both original rows.
    :param on_failure: called for every record that could not be synced, once for each reason.
    :ivar lock: held for one chunk at a time, so that a forced sync does not wait for a whole cycle.
    """

    def __init__(
        self,
        pair: Pair,
        failures: Failures,
        progress: Progress,
        on_conflict: Callback,
        on_failure: Callback,
    ) -> None:
        self._sides = pair.sides
        self._places = {table: place for place, table in enumerate(pair.tables)}
        self._failures = failures
        self._progress = progress
        self._on_conflict = on_conflict
        self._on_failure = on_failure
        # A backend that checks constraints at the commit only receives a transaction as one request.
        self._chunks = Chunks(bulk=all(side.adapter.capabilities.immediate_constraints for side in pair.sides))
        self._copying = Copying(pair.sides, self._chunks, progress)
        self.lock = RLock()

    def reconcile(
        self,
        keys: Iterable[RecordKey],
        epoch: str,
        next_action: NextAction,
        stopped: Callable[[], bool],
        *,
        again: bool = False,
        changed_on: SideName | None = None,
    ) -> tuple[int, Failed]:
        """Reconcile records. :returns: the number of actions, and the records that failed.

        Failed records are retried in the order of their needs, because they may depend on each other.

        :param again: whether the caller reconciles failed records again, together with others; then they are not
            retried, and nobody is told of them.
        :param changed_on: the only side on which the records have changed, as far as is known.
        :raises StoppedError: before the next chunk, once ``stopped`` returns True.
        :raises Restored: if a side was restored from a backup.
        :raises BackendError: if a side does not respond.
        """
        wanted = sorted(set(keys))
        wanted.sort(key=lambda key: self._places[key.table])
        pending: Sequence[RecordKey] = wanted
        chunks: Iterable[Sequence[RecordKey]] = self._chunks.of(wanted)
        failed, actions = Failed(), 0
        for _ in range(_MAX_PASSES if wanted else 0):
            failed, number = {}, 0
            for chunk in chunks:
                if stopped():
                    raise StoppedError
                number += 1
                with self.lock:
                    copied = self._copy_over(changed_on, chunk, epoch, next_action) if changed_on else None
                    actions += self._reconcile_chunk(chunk, epoch, next_action, failed) if copied is None else copied
            if again or not failed or (len(failed) == len(pending) and (number == 1 or pending is not wanted)):
                break
            pending = list(failed)
            chunks = self._in_order(failed, epoch, next_action)
        with self.lock:
            self._failures.update(wanted, failed)
            if not again:
                self._tell(failed)
        return actions, failed

    def _in_order(self, failed: Failed, epoch: str, next_action: NextAction) -> Iterator[Sequence[RecordKey]]:
        """Chunks of failed records in the order of their needs, so that none of them waits for a later chunk."""
        known: dict[SideName, list[tuple[RecordKey, Needs, tuple[str, bool]]]] = {name: [] for name in SIDES}
        others = dict.fromkeys(failed)
        for chunk in self._chunks.of(list(failed)):
            for action in self._next_actions(chunk, epoch, next_action, {}):
                side = self._sides[SIDES.index(action.side)]
                needs_of = side.needs(action, suspecting=is_taken_value(failed[action.key]))
                known[action.side].append((action.key, needs_of, (action.key.table, action.deletes)))
                del others[action.key]
        for found in known.values():
            members, needs, sorts = zip(*found, strict=True) if found else ((), (), ())
            yield from self._chunks.of_parts([part.items for part in in_order(members, needs, sorts)])
        yield from self._chunks.of(list(others))

    def _tell(self, failed: Failed) -> None:
        for key in self._failures.untold().keys() & failed.keys():
            logger.warning("a record of table %s cannot be synced: %s", key.table, failed[key])
            self._on_failure(failed[key])

    def _copy_over(
        self, source: SideName, keys: Sequence[RecordKey], epoch: str, next_action: NextAction
    ) -> int | None:
        """Copy changes of one side. :returns: the number of actions; None if it takes more, and nothing was written."""
        if isinstance(next_action, Deciding) and not next_action.units.tables.isdisjoint([key.table for key in keys]):
            return None
        return self._copying.carry_out(source, keys, epoch)

    def _reconcile_chunk(
        self,
        keys: Sequence[RecordKey],
        epoch: str,
        next_action: NextAction,
        failed: Failed,
        *,
        dependents_first: bool = True,
    ) -> int:
        done = 0
        self._progress.count_compared(keys)
        for _ in range(_MAX_TURNS):
            actions = self._next_actions(keys, epoch, next_action, failed)
            again: list[RecordKey] = []
            for side in self._sides:
                own = [action for action in actions if action.side == side.name]
                if dependents_first:
                    present = set(keys)
                    for chunk in self._chunks.of([key for key in side.dependents(own) if key not in present]):
                        done += self._reconcile_chunk(chunk, epoch, next_action, failed, dependents_first=False)
                own = self._with_dependents(side, own, epoch, next_action, failed)
                carried_out, moved = self._carry_out(side, own, epoch, failed)
                done += len(carried_out)
                again += [*moved, *(action.key for action in carried_out if action.more)]
            if not again:
                return done
            keys = again
        failed |= dict.fromkeys(keys, Conflict("the record kept changing while it was synced; the next cycle retries"))
        return done

    def _next_actions(
        self, keys: Sequence[RecordKey], epoch: str, next_action: NextAction, failed: Failed
    ) -> list[MergeAction]:
        """The actions for these records, in their order."""
        return self._decided(self._states(keys, epoch), epoch, next_action, failed)

    def _decided(
        self, states: Sequence[RecordState], epoch: str, next_action: NextAction, failed: Failed
    ) -> list[MergeAction]:
        self._chunks.note(len(states), sum(len(one.first.text or "") + len(one.second.text or "") for one in states))
        together = self._decided_together(states, epoch, next_action, failed)
        actions = [action for action in together.values() if action is not None]
        for state in states:
            if state.key in together:
                continue
            if (fault := state.first.fault or state.second.fault) is not None:
                failed[state.key] = fault
                continue
            try:
                action = next_action(state)
            except RequestError as error:
                failed[state.key] = error
                continue
            if action is not None:
                actions.append(action)
        return actions

    def _decided_together(
        self, states: Sequence[RecordState], epoch: str, next_action: NextAction, failed: Failed
    ) -> dict[RecordKey, MergeAction | None]:
        if not isinstance(next_action, Deciding):
            return {}
        find: FindKeys = lambda *wanted: {key for side in self._sides for key in side.keys_with(*wanted)}  # noqa: E731
        return next_action.units.actions(states, lambda keys: self._states(keys, epoch), find, failed)

    def _states(self, keys: Sequence[RecordKey], epoch: str) -> list[RecordState]:
        first, second = (side.states(keys, epoch) for side in self._sides)
        require_not_restored(self._sides, epoch)
        return [RecordState(key, first[key], second[key]) for key in keys]

    def _with_dependents(
        self, side: Side, actions: list[MergeAction], epoch: str, next_action: NextAction, failed: Failed
    ) -> list[MergeAction]:
        """The actions and those on the records that go with deleted ones, without the deletions that must not be."""
        found = side.dependents(actions)
        if not found:
            return actions
        states = [state for state in self._states(list(found), epoch) if state.of(side.name).row is not None]
        more, kept = with_dependents(side.name, actions, found, states, next_action)
        failed |= kept
        return more

    def _carry_out(
        self, side: Side, actions: Sequence[MergeAction], epoch: str, failed: Failed
    ) -> tuple[list[MergeAction], list[RecordKey]]:
        """Apply actions. :returns: the applied ones, and the records that have changed meanwhile."""
        if not actions:
            return [], []
        written_from = self._sides[1 - self._sides.index(side)].count_read(epoch)
        try:
            side.apply(actions, epoch, written_from)
        except RequestError as error:
            parts = PartByPart(side, epoch, written_from, failed)
            parts.carry_out(actions, error)
            self._report(parts.applied)
            return parts.applied, list(parts.moved)
        self._report(actions)
        return list(actions), []

    def _report(self, actions: Sequence[MergeAction]) -> None:
        self._progress.count_actions(actions)
        for action in actions:
            if action.conflict is not None:
                state = action.conflict.state
                self._on_conflict(*state.key, state.first.row, state.second.row)
