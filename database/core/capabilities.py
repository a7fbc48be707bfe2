"""What a backend can do, as data. What it cannot is refused before any I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A record per adapter, checked by the contract suite in both directions.

    :ivar sessions: interactive transactions that the client holds open.
    :ivar savepoints: nested transactions that roll back alone.
    :ivar sql: SQL text through ``execute_query``.
    :ivar calls: stored functions by name.
    :ivar row_security: the backend itself applies the caller's identity to every row.
    :ivar durable: an acknowledged write survives the process.
    """

    sessions: bool = True
    savepoints: bool = True
    sql: bool = True
    calls: bool = False
    row_security: bool = False
    durable: bool = True
