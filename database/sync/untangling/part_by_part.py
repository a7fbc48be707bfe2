"""Carries out what a database has refused in bulk: in the order of its needs, and in smaller and smaller parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from database.core.errors import Conflict
from database.core.errors import ConstraintKind
from database.core.errors import ConstraintViolated
from database.core.errors import RequestError
from database.core.errors import UnreadableRecord
from database.sync.side import Side
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordKey
from database.sync.untangling.ordering import Component

Failed = dict[RecordKey, RequestError | UnreadableRecord]

_LONGEST_ID: Final = 64


class PartByPart:
    """Carries out the actions of one side.

    :param written_from: as in :meth:`~database.sync.side.Side.apply`.
    :param failed: gets the records that the database refuses.
    :ivar applied: the actions that were carried out.
    :ivar moved: the records that have changed meanwhile.
    """

    def __init__(self, side: Side, epoch: str, written_from: int, failed: Failed) -> None:
        self.applied: list[MergeAction] = []
        self.moved: dict[RecordKey, None] = {}
        self._side = side
        self._epoch = epoch
        self._written_from = written_from
        self._failed = failed
        self._roots: dict[RecordKey, RecordKey] = {}
        self._suspecting = False

    def carry_out(self, actions: Sequence[MergeAction], error: RequestError) -> None:
        """Carry out actions.

        :param error: that of the attempt at all of them in bulk.
        """
        parts = self._side.in_order(actions)
        if any(part.is_ring or part.waits_for for part in parts):
            self._try(parts)
        else:
            # Their order does not matter, so all together would be refused again.
            self._divide(parts, error)
        self._try_others(actions)

    def _try_others(self, actions: Sequence[MergeAction]) -> None:
        """Carry out those whose unique values were refused, as if the values of every column were unique."""
        own = [action for action in actions if action.key not in self._roots]
        refused = [action for action in own if is_taken_value(self._failed.get(action.key))]
        parts = self._side.in_order(refused, suspecting=True) if len(refused) > 1 else []
        if any(part.is_ring or part.waits_for for part in parts):
            for action in refused:
                del self._failed[action.key]
            self._suspecting = True
            self._try(parts)

    def _try(self, parts: Sequence[Component[MergeAction]]) -> None:
        # What is only suspected is no reason not to try.
        possible = [part for part in parts if self._suspecting or not self._is_blocked(part)]
        if not possible:
            return
        actions = [action for part in possible for action in part.items]
        try:
            self._side.apply(actions, self._epoch, self._written_from, possible, suspecting=self._suspecting)
        except RequestError as error:
            self._divide(possible, error)
        else:
            self.applied += actions

    def _divide(self, parts: Sequence[Component[MergeAction]], error: RequestError) -> None:
        if len(parts) > 1:
            middle = len(parts) // 2
            self._try(parts[:middle])
            self._try(parts[middle:])
            return
        keys = [action.key for part in parts for action in part.items]
        if isinstance(error, Conflict):
            self.moved |= dict.fromkeys(keys)
        else:
            self._failed |= dict.fromkeys(keys, error)

    def _is_blocked(self, part: Component[MergeAction]) -> bool:
        """Whether a part waits for one that was not carried out; then it is not tried."""
        before = [action.key for action in part.waits_for]
        keys = [action.key for action in part.items]
        if (failed := next((key for key in before if key in self._failed), None)) is not None:
            root = self._roots.get(failed, failed)
            self._roots |= dict.fromkeys(keys, root)
            self._failed |= dict.fromkeys(keys, _waiting(root, self._failed[root]))
            return True
        if any(key in self.moved for key in before):
            self.moved |= dict.fromkeys(keys)
            return True
        return False


def is_taken_value(error: Exception | None) -> bool:
    """Whether a record was refused because of a unique value."""
    return isinstance(error, ConstraintViolated) and error.kind is ConstraintKind.UNIQUE


def _waiting(key: RecordKey, reason: Exception) -> ConstraintViolated:
    return ConstraintViolated(
        f"it waits for record {key.id[:_LONGEST_ID]!r} of table {key.table!r}, which cannot be synced: {reason}",
        kind=getattr(reason, "kind", None),
    )
