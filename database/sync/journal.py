"""The journal of settled conflicts: what was lost, and by which rule."""

from __future__ import annotations

from typing import Any

from database.sync.decision import Conflict


def conflict_row(pair: str, conflict: Conflict) -> dict[str, Any]:
    """The journal's entry: rows as text, and null for no row; without a base it is not known what was agreed on."""
    view, resolution = conflict.view, conflict.resolution
    base = view.newest_base()
    return {
        "pair": pair,
        "table_name": view.key.table,
        "record_id": view.key.id,
        "rule": resolution.rule,
        "base": None if base is None else base.text,
        "supabase_row": view.supabase.text,
        "convex_row": view.convex.text,
        "result": resolution.text,
    }
