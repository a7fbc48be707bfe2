"""The journal of resolved conflicts: the losing rows, and the rule that decided."""

from __future__ import annotations

from typing import Any

from database.sync.three_way_merge import ResolvedConflict


def conflict_row(pair: str, names: tuple[str, str], conflict: ResolvedConflict) -> dict[str, Any]:
    """Return a journal entry: rows as text, null for no row; ``base`` is null if the last agreed row is not known.

    :param names: the names of the two sides' adapters.
    """
    state, resolution = conflict.state, conflict.resolution
    base = state.newest_base()
    return {
        "pair": pair,
        "first_name": names[0],
        "second_name": names[1],
        "table_name": state.key.table,
        "record_id": state.key.id,
        "rule": resolution.rule,
        "base": None if base is None else base.text,
        "first_row": state.first.text,
        "second_row": state.second.text,
        "result": resolution.text,
    }
