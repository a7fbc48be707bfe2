"""Convex's limits, checked before a commit is sent, so that the error names the limit and the remedy.

Source: https://docs.convex.dev/production/state/limits
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from typing import Final

import orjson

from database.backends.buffered.request import CommitRequest
from database.backends.buffered.request import Step
from database.backends.convex.codec import escape_key
from database.core.errors import InvalidQuery
from database.core.kinds.values import JSON
from database.core.tables.schema import Schema
from database.core.tables.unreadable import ForeignValue

MAX_STEPS: Final = 1_000
"""Changes in one transaction. Convex allows 16,000 written documents, but each change also writes an entry of the
change feed and reads rows for its constraints, and a mutation may run for one second."""

MAX_READS: Final = 2_000
MAX_DOCUMENT_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 14
"""Nesting levels of a JSON document: Convex allows 16 in total, including the record's own."""

_MAX_FIELDS: Final = 1_024
_MAX_ELEMENTS: Final = 8_192
_MAX_KEY: Final = 1_024


def check_commit(request: CommitRequest, schema: Schema) -> None:
    """Refuse a commit that exceeds a limit. :raises InvalidQuery: names the limit and how to stay within it."""
    if len(request.steps) > MAX_STEPS:
        raise InvalidQuery(
            f"the transaction makes {len(request.steps)} changes; Convex allows {MAX_STEPS}: "
            "split it into several transactions"
        )
    reads = len(request.seen) + sum(len(part.rows) for part in request.ranges)
    if reads > MAX_READS:
        raise InvalidQuery(
            f"the transaction has read {reads} records; Convex allows {MAX_READS}: "
            "read them outside the transaction, or change fewer records in one transaction"
        )
    for step in request.steps:
        _check_document(step, schema)


def _check_document(step: Step, schema: Schema) -> None:
    if step.row is None:
        return
    for name, column in schema.table(step.table).columns.items():
        if column.kind is JSON and not isinstance(step.row.get(name), ForeignValue | None):
            _check_json(name, step.row[name])
    # Values written by another program are stored already, so only their presence counts.
    size = len(orjson.dumps(step.row, default=_stored_text))
    if size > MAX_DOCUMENT_BYTES:
        raise InvalidQuery(f"a record of {step.table} has {size} bytes; Convex allows 1 MiB in one document")


def _stored_text(value: object) -> str | None:
    return value.hex() if isinstance(value, bytes) else None


def _check_json(name: str, document: Any) -> None:
    for part, depth in _containers(document, 1):
        if depth > MAX_DEPTH:
            raise InvalidQuery(f"the value of column {name!r} is nested deeper than {MAX_DEPTH} levels, Convex's limit")
        limit = _MAX_FIELDS if isinstance(part, dict) else _MAX_ELEMENTS
        if len(part) > limit:
            kind = "keys in one object" if isinstance(part, dict) else "elements in one list"
            raise InvalidQuery(f"the value of column {name!r} has more than {limit} {kind}, Convex's limit")
        if isinstance(part, dict) and any(len(escape_key(key)) > _MAX_KEY for key in part):
            raise InvalidQuery(
                f"the value of column {name!r} has a key longer than {_MAX_KEY} characters, Convex's limit"
            )


def _containers(value: Any, depth: int) -> Iterator[tuple[dict[str, Any] | list[Any], int]]:
    if isinstance(value, dict | list):
        yield value, depth
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part, depth + 1)
