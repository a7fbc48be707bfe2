"""The capabilities of a backend, as data. An operation that needs a missing one is refused before any I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from database.core.kinds.json_texts import MAX_JSON_DEPTH


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities of one adapter. The contract suite checks that each is present, or absent, as declared.

    :ivar sessions: interactive transactions that the client holds open.
    :ivar savepoints: nested transactions that roll back alone.
    :ivar locks: a transaction can lock the rows it reads, and waits for other transactions' locks.
    :ivar sql: ``native`` sends SQL text to the backend unchanged; ``translated`` turns a statement into one operation.
    :ivar calls: stored functions, called by name.
    :ivar row_security: the backend itself applies the caller's identity to every row.
    :ivar immediate_constraints: the operation that violates a constraint raises; otherwise the commit does.
    :ivar changes: a feed of committed changes, which subscriptions and sync need.
    :ivar json_depth: the deepest nesting of a JSON document.
    :ivar json_number_types: ``1.0`` in a document stays a float; otherwise it may come back as the integer 1.
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
