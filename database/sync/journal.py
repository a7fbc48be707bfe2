"""The journal of resolved conflicts: what was lost, and by which rule."""

from __future__ import annotations

from typing import Any

from database.sync.three_way_merge import ResolvedConflict


def conflict_row(pair: str, names: tuple[str, str], conflict: ResolvedConflict) -> dict[str, Any]:
    """The journal's entry: rows as text, and null for no row; without a base it is not known what was agreed on.

    :param names: of the two sides' adapters.
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
