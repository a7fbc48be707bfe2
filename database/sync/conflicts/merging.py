"""The merge of a record that both sides have changed, column by column, by means of the last agreed row.

A column that one side has changed has that side's value. For one that both have changed, ``info["merge"]`` of the
column says what it becomes:

* ``last_modified``, the default: the value of the row that was changed last.
* ``max``, ``min``: the larger or the smaller value; any value rather than null.
* ``sum``: for counters; the changes of both sides are added to the agreed value.
* ``union``: for arrays that are sets; what either side has added is in it, what either side has removed is not.
* A function ``(base, first, second) -> value``.

``info["merge_groups"]`` of a table lists columns that stay together: they have the values of the side that has changed
one of them, or of the row that was changed last. If the agreed row is not known, every column counts as changed, and
``sum`` and functions are ``last_modified``.

The result does not depend on which side is the first, if that is true of the functions. A merged row that the declared
table does not accept is no result: the conflict then waits for a decision.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping
from typing import Any
from typing import Final

import orjson

from database.backends.memory.constraints import constraints_of
from database.core.result import Row
from database.core.tables.schema import TableSchema
from database.sync.canonical_rows import CanonicalRows
from database.sync.conflicts.rules import LATER
from database.sync.conflicts.rules import MergeRule
from database.sync.conflicts.rules import rule_of

_GROUPS: Final = "merge_groups"


class InvalidMerge(Exception):
    """The merged row is not one of its table; the message says why."""


class Merge:
    """Merges the records of one table.

    :raises ValueError: if a rule or a group is wrong; names the column.
    """

    def __init__(self, table: TableSchema) -> None:
        self._table = table
        self._form = CanonicalRows(table)
        self._rules: dict[str, MergeRule] = {
            name: rule for name, column in table.columns.items() if (rule := rule_of(table, column)) is not None
        }
        self._counters = [name for name, rule in self._rules.items() if rule.counts]
        self._groups = list(_groups(table, self._rules))

    def counted_alike(self, base: str | None, text: str | None) -> bool:
        """Whether both sides, whose rows are equal, have counted to the same number independently.

        :param base: the agreed row, as canonical text; None if it is not known.
        """
        if not self._counters or base is None or text is None or base == text:
            return False
        before, after = _values(base), _values(text)
        return any(before.get(name) != after[name] for name in self._counters)

    def row(self, base: str | None, first: Row, second: Row, later: Row) -> Row:
        """Return the merged row.

        :param base: the agreed row, as canonical text; None if it is not known.
        :param later: that of both rows which was changed last.
        :raises InvalidMerge: if it is not valid.
        """
        known = None if base is None else _values(base)
        agreed = self._form.row(base)
        values = [(row, _values(self._form.text(row) or "")) for row in (first, second)]
        merged: Row = {}
        for group in self._groups:
            changed = [
                row for row, own in values if known is None or any(own[name] != known.get(name) for name in group)
            ]
            rule = self._rules.get(group[0])
            if len(changed) == 2 and rule is not None and not (rule.needs_base and agreed is None):
                merged[group[0]] = self._combined(rule, group[0], agreed, first, second, later)
            else:
                chosen = changed[0] if len(changed) == 1 else later
                merged |= {name: chosen[name] for name in group}
        return self._valid(merged)

    def _combined(self, rule: MergeRule, name: str, agreed: Row | None, first: Row, second: Row, later: Row) -> Any:
        if first[name] == second[name] and not rule.counts:
            return first[name]
        value = rule.combine(None if agreed is None else agreed[name], first[name], second[name])
        if value is LATER:
            return later[name]
        try:
            return self._table.columns[name].check(value)
        except ValueError as error:
            raise InvalidMerge(f"column {name!r} {error}") from None

    def _valid(self, row: Row) -> Row:
        for name, rule in constraints_of(self._table).checks:
            if rule(row) is False:
                raise InvalidMerge(f"the check constraint {name} does not hold")
        # In the order of the declaration, as all rows.
        return {name: row[name] for name in self._table.columns}


def _values(text: str) -> Mapping[str, bytes]:
    """The canonical text of each column: equal values of Python, such as 1 and true, can be different ones in JSON."""
    return {name: orjson.dumps(value, option=orjson.OPT_SORT_KEYS) for name, value in orjson.loads(text).items()}


def _groups(table: TableSchema, rules: Mapping[str, MergeRule]) -> Iterator[tuple[str, ...]]:
    """The declared groups, and each other column alone. :raises ValueError: for a wrong group."""
    declared = table.source.info.get(_GROUPS, ())
    if isinstance(declared, str) or any(isinstance(group, str) for group in declared):
        raise ValueError(f'info["{_GROUPS}"] of table {table.name} must be a list of lists of columns')
    grouped: set[str] = set()
    for group in map(tuple, declared):
        for name in group:
            if name not in table.columns:
                raise ValueError(f'info["{_GROUPS}"] of table {table.name} names {name!r}, which is no column of it')
            if name in grouped or name in rules:
                what = "another group" if name in grouped else 'a rule of its own, info["merge"]'
                raise ValueError(f'info["{_GROUPS}"] of table {table.name} names {name!r}, which has {what}')
            grouped.add(name)
        if group:
            yield group
    yield from ((name,) for name in table.columns if name not in grouped)
