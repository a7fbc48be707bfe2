"""The strategies that resolve conflicts.

A conflict is a record that both sides have changed to different rows since they last agreed, or whose last agreed row
is not known.

* ``last_modified``: the row with the later ``updated_at``, or at the same time the one with the higher version. If both
  are equal, or the table has no such columns, the row whose text sorts last, so that every process decides alike. A
  time more than a day ahead of this process's clock is not believed, and counts as the earliest.
* ``first_wins``, ``second_wins``: the row of that side, or its deletion. The documented names are ``supabase_wins`` and
  ``convex_wins``.
* ``merge``: column by column, see :mod:`database.sync.conflicts.merging`.
* ``manual``: the conflict waits for a decision, see :mod:`database.sync.conflicts.open_conflicts`.
* A function ``(table, record_id, first_row, second_row) -> row``: the row it returns, or None to delete the record.

A strategy is for all tables, or a mapping has one for each table; that of ``"*"`` is for the others, by default
``last_modified``. Likewise for the policies of a record that one side has deleted and the other one has changed:
``delete_wins``, ``update_wins`` and ``manual``. Without a policy, sides and functions decide these conflicts, too,
``manual`` leaves them open, and otherwise the deletion wins.

If the version of the resulting row is not greater than that of a losing row, it is raised above it: a client that has
read the losing row must get a conflict when it tries to update the record.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any
from typing import Final

from config.fields import DELETE_POLICIES
from config.fields import DOCUMENTED_STRATEGIES
from config.fields import STRATEGIES
from config.fields import chosen_by_table
from database.core.clock import LEAP
from database.core.clock import utc_now
from database.core.errors import InvalidQuery
from database.core.result import Row
from database.core.tables.schema import TableSchema
from database.sync.canonical_rows import CanonicalRows
from database.sync.conflicts.merging import InvalidMerge
from database.sync.conflicts.merging import Merge
from database.sync.conflicts.open_conflicts import OpenConflict
from database.sync.conflicts.results import above_replaced
from database.sync.conflicts.results import check_time_column
from database.sync.conflicts.results import row_of
from database.sync.conflicts.results import stamp
from database.sync.conflicts.units import ConflictUnit
from database.sync.conflicts.units import Units
from database.sync.three_way_merge import MergeAction
from database.sync.three_way_merge import RecordState
from database.sync.three_way_merge import Resolution
from database.sync.three_way_merge import SideState
from database.sync.three_way_merge import next_action
from database.sync.three_way_merge import resolved

logger = logging.getLogger(__name__)

Resolver = Callable[[str, str, Row | None, Row | None], Mapping[str, Any] | None]
"""The application's own rule: takes table, record id and both sides' rows; returns the row for both sides, or None."""

Strategy = str | Resolver
Strategies = Strategy | Mapping[str, Strategy]
"""A strategy, or one for each table."""

Policies = str | Mapping[str, str]
"""A policy for deleted records, or one for each table."""

OTHERS: Final = "*"

_DEFAULT: Final = "last_modified"
_DELETES_OF: Final = {"last_modified": "delete_wins", "merge": "delete_wins", "manual": "manual"}


def strategies_by_table(given: object) -> Mapping[str, Strategy]:
    """The strategy of each table, under its neutral name. :raises ValueError: for one that does not exist."""
    found = _by_table(given, STRATEGIES, "a function (table, record_id, first_row, second_row)")
    return {table: DOCUMENTED_STRATEGIES.get(one, one) if isinstance(one, str) else one for table, one in found.items()}


def policies_by_table(given: object) -> Mapping[str, str]:
    """The policy of each table for deleted records. :raises ValueError: for one that does not exist."""
    return {} if given is None else _by_table(given, DELETE_POLICIES)


def _by_table(given: object, known: tuple[str, ...], otherwise: str = "") -> Mapping[str, Any]:
    chosen: Mapping[Any, Any] = given if isinstance(given, Mapping) else {OTHERS: given}
    if isinstance(given, str):
        chosen = chosen_by_table(given, known)
    for table, one in chosen.items():
        if not (isinstance(table, str) and (one in known if isinstance(one, str) else otherwise and callable(one))):
            where = "" if table == OTHERS else f"{table}: "
            also = f", or {otherwise}" if otherwise else ""
            raise ValueError(f"{where}must be one of {', '.join(known)}{also}, or a mapping of tables to them")
    return chosen


class Deciding:
    """Decides what is done about a record.

    :param strategies: by table, as :func:`strategies_by_table` returns them.
    :param policies: by table, as :func:`policies_by_table` returns them.
    :ivar units: decide about their records together, before these are decided about one by one.
    :raises ValueError: for an unknown table, and for one whose ``info`` is wrong.
    """

    def __init__(
        self,
        strategies: Mapping[str, Strategy],
        tables: Mapping[str, TableSchema],
        policies: Mapping[str, str] | None = None,
        units: Sequence[ConflictUnit] = (),
    ) -> None:
        policies = policies or {}
        self.units = Units(units, tables)
        if unknown := sorted((strategies.keys() | policies.keys()) - tables.keys() - {OTHERS}):
            raise ValueError(f"names tables that are not synced: {', '.join(unknown)}")
        for table in tables.values():
            check_time_column(table)
        self._tables = tables
        self._forms = {name: CanonicalRows(table) for name, table in tables.items()}
        self._strategies = {name: strategies.get(name, strategies.get(OTHERS, _DEFAULT)) for name in tables}
        self._policies = {name: policies.get(name, policies.get(OTHERS)) for name in tables}
        self._merges = {name: Merge(tables[name]) for name, one in self._strategies.items() if one == "merge"}

    def __call__(self, state: RecordState) -> MergeAction | None:
        """The next action for a record.

        :raises OpenConflict: if a person has to decide.
        :raises RequestError: if the strategy has no result.
        """
        if state.first.text == state.second.text and self._counted_alike(state):
            resolution = self.resolve(state)
            if resolution.text != state.first.text:
                return resolved(state, resolution)
        return next_action(state, self.resolve)

    def resolve(self, state: RecordState) -> Resolution:
        """The resolution of a conflict. :raises OpenConflict: and ``RequestError``, as a call."""
        table, form = self._tables[state.key.table], self._forms[state.key.table]
        rule, row = self._decided(table, state)
        row = above_replaced(table, form, state, row)
        return Resolution(rule, row, form.text(row))

    def _decided(self, table: TableSchema, state: RecordState) -> tuple[str, Row | None]:
        """The rule that decides, and its row."""
        strategy, first, second = self._strategies[table.name], state.first.row, state.second.row
        named = strategy if isinstance(strategy, str) else ""
        if first is None or second is None:
            policy = self._policies[table.name] or _DELETES_OF.get(named)
            if policy == "manual":
                raise OpenConflict(state, "one side has deleted the record, and the other one has changed it")
            if policy is not None:
                return policy, None if policy == "delete_wins" else first or second
        if callable(strategy):
            return "function", _call_resolver(strategy, table, state)
        if strategy == "manual":
            raise OpenConflict(state, "both sides have changed the record")
        if strategy == "merge":
            return strategy, self._merged(table, state)
        return strategy, _chosen(strategy, table, state).row

    def _merged(self, table: TableSchema, state: RecordState) -> Row:
        base, later = state.newest_base(), _later(table, state)
        agreed = None if base is None else base.text
        try:
            return self._merges[table.name].row(agreed, _present(state.first), _present(state.second), _present(later))
        except InvalidMerge as error:
            raise OpenConflict(state, f"the merged row is not valid: {error}") from None

    def _counted_alike(self, state: RecordState) -> bool:
        merge, base = self._merges.get(state.key.table), state.newest_base()
        return merge is not None and base is not None and merge.counted_alike(base.text, state.first.text)


def _chosen(strategy: str, table: TableSchema, state: RecordState) -> SideState:
    if strategy == "first_wins":
        return state.first
    return state.second if strategy == "second_wins" else _later(table, state)


def _later(table: TableSchema, state: RecordState) -> SideState:
    """The side with the later row.

    Its time counts on from the time that its writer has seen, and the version counts the changes of one time.
    """
    believed = utc_now() + LEAP

    def age(held: SideState) -> tuple[bool, datetime, int, str]:
        row = _present(held)
        time = stamp(table, row)
        if time > believed:
            logger.warning("a record of table %s has a time that lies ahead; it counts as the earliest", table.name)
        return time <= believed, time, (row["version"] or 0) if table.versioned else 0, held.text or ""

    return max(state.first, state.second, key=age)


def _present(held: SideState) -> Row:
    assert held.row is not None, "a policy decides about deletions"
    return held.row


def _call_resolver(resolver: Resolver, table: TableSchema, state: RecordState) -> Row | None:
    """Call the application's function. :raises InvalidQuery: if it does not return a valid row of the table."""
    key = state.key
    try:
        made = resolver(key.table, key.id, deepcopy(state.first.row), deepcopy(state.second.row))
    except Exception as error:
        logger.exception("the conflict_resolution function failed for a record of table %s", key.table)
        raise InvalidQuery(f"the conflict_resolution function raised {type(error).__name__}; see the log") from error
    return row_of(table, key.id, made, "the conflict_resolution function")
