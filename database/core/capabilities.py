"""What a backend can do, as data. What it cannot is refused before any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from database.core.tables.values import MAX_JSON_DEPTH


@dataclass(frozen=True, slots=True)
class Capabilities:
    """A record per adapter, checked by the contract suite in both directions.

    :ivar sessions: interactive transactions that the client holds open.
    :ivar savepoints: nested transactions that roll back alone.
    :ivar locks: a transaction can lock rows that it reads, and wait for who has them locked.
    :ivar sql: SQL text goes to the backend as it is, or is translated to operations as far as they reach.
    :ivar calls: stored functions by name.
    :ivar row_security: the backend itself applies the caller's identity to every row.
    :ivar immediate_constraints: a transaction is told of a constraint by the operation, not only by its commit.
    :ivar changes: a feed of committed changes, from which subscriptions are made.
    :ivar json_depth: how deep a JSON document may be nested.
    :ivar json_number_types: a document's ``1.0`` stays a float; otherwise it may come back as the integer 1.
    :ivar durable: an acknowledged write survives the process.
    """

    sessions: bool = True
    savepoints: bool = True
    locks: bool = True
    sql: Literal["native", "translated"] = "native"
    calls: bool = False
    row_security: bool = False
    immediate_constraints: bool = True
    changes: bool = False
    json_depth: int = MAX_JSON_DEPTH
    json_number_types: bool = True
    durable: bool = True
