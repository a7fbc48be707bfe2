"""Convex's limits, checked before anything is sent, so that the error says which one and what to do.

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
from database.core.tables.schema import Schema
from database.core.tables.unreadable import ForeignValue
from database.core.tables.values import JSON

MAX_STEPS: Final = 1_000
"""Changes in one transaction. Convex takes 16,000 written documents, but each change writes a line of the change feed
and reads what its constraints need, and the whole has a second."""

MAX_READS: Final = 2_000
MAX_DOCUMENT_BYTES: Final = 1 << 20
MAX_DEPTH: Final = 14
"""Levels of a JSON document: Convex allows 16 in all, and the record is one of them."""

_MAX_FIELDS: Final = 1_024
_MAX_ELEMENTS: Final = 8_192
_MAX_KEY: Final = 1_024


def check_commit(request: CommitRequest, schema: Schema) -> None:
    """Refuse a commit that Convex would refuse. :raises InvalidQuery: names the limit and how to keep it."""
    if len(request.steps) > MAX_STEPS:
        raise InvalidQuery(
            f"{len(request.steps)} changes are more than the {MAX_STEPS} of one transaction on Convex; "
            "write them in several"
        )
    reads = len(request.seen) + sum(len(part.rows) for part in request.ranges)
    if reads > MAX_READS:
        raise InvalidQuery(
            f"{reads} records read are more than the {MAX_READS} that a transaction on Convex can validate; "
            "read them outside the transaction, or change fewer at a time"
        )
    for step in request.steps:
        _check_document(step, schema)


def _check_document(step: Step, schema: Schema) -> None:
    if step.row is None:
        return
    for name, column in schema.table(step.table).columns.items():
        if column.kind is JSON and not isinstance(step.row.get(name), ForeignValue | None):
            _check_json(name, step.row[name])
    # What another program wrote is there already.
    size = len(orjson.dumps(step.row, default=lambda _: None))
    if size > MAX_DOCUMENT_BYTES:
        raise InvalidQuery(f"a record of {step.table} has {size} bytes, more than the 1 MiB of a document on Convex")


def _check_json(name: str, document: Any) -> None:
    for part, depth in _containers(document, 1):
        if depth > MAX_DEPTH:
            raise InvalidQuery(f"column {name!r} is nested deeper than the {MAX_DEPTH} levels that Convex keeps")
        limit = _MAX_FIELDS if isinstance(part, dict) else _MAX_ELEMENTS
        if len(part) > limit:
            kind = "keys in one object" if isinstance(part, dict) else "elements in one list"
            raise InvalidQuery(f"column {name!r} has more than the {limit} {kind} that Convex keeps")
        if isinstance(part, dict) and any(len(escape_key(key)) > _MAX_KEY for key in part):
            raise InvalidQuery(f"column {name!r} has a key longer than the {_MAX_KEY} characters that Convex keeps")


def _containers(value: Any, depth: int) -> Iterator[tuple[dict[str, Any] | list[Any], int]]:
    if isinstance(value, dict | list):
        yield value, depth
        for part in value.values() if isinstance(value, dict) else value:
            yield from _containers(part, depth + 1)
