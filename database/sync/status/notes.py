"""Notes of audits and moves: how far they got, as a JSON object beside the checkpoints of sync."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from database.failover.recorded import NOTE
from database.sync.checkpoint import CURSORS
from database.sync.side import Side


def note(side: Side, name: str) -> Mapping[str, Any] | None:
    """Read a note of a side; None if there is none."""
    row = side.row(CURSORS, name)
    return None if row is None else row["cursors"]


def write_note(side: Side, name: str, content: Mapping[str, Any]) -> None:
    """Write a note of a side; it replaces the former one."""
    side.store(CURSORS, [{"id": name, "epoch": NOTE, "cursors": dict(content)}])
