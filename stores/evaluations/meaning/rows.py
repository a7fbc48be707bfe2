"""Between the rows of records and the values that callers get."""

from __future__ import annotations

from datetime import datetime
from operator import itemgetter
from typing import Any
from typing import Final

import orjson

from database.core.result import Row
from database.core.tables.schema import new_id
from storage.core.documents import from_json
from stores.evaluations.meaning.checks import MAX_MESSAGE
from stores.evaluations.meaning.checks import checked_number
from stores.evaluations.meaning.checks import checked_text
from stores.evaluations.meaning.values import Evaluation
from stores.evaluations.meaning.values import EvaluationEvent
from stores.evaluations.meaning.values import EvaluationMetric

_NESTED: Final = frozenset({dict, list})

_KNOWN: Final = itemgetter(
    *("id", "code_hash", "code_size", "code_s3_key", "status"),
    *("created_at", "updated_at", "started_at", "completed_at", "runtime_ms"),
    *("output_size", "output_type", "output_s3_key", "error_size", "error_type", "error_s3_key", "metadata", "etag"),
)
"""The parts of a row that all listings have: with the names of columns, it takes half as long as one by one."""


def evaluation_of(row: Row) -> Evaluation:
    """The evaluation of a row, which may be without its texts."""
    id_, code_hash, code_size, code_key, status, created, updated, started, completed, runtime, *rest = _KNOWN(row)
    output_size, output_type, output_key, error_size, error_type, error_key, metadata, etag = rest
    get = row.get
    return Evaluation(
        id_,
        get("code"),
        code_hash,
        code_size,
        code_key,
        status,
        created,
        updated,
        started,
        completed,
        runtime,
        get("output_preview"),
        output_size,
        output_type,
        output_key is not None,
        output_key,
        get("error_preview"),
        error_size,
        error_type,
        error_key is not None,
        error_key,
        metadata_of(metadata),
        etag,
    )


def event_of(row: Row) -> EvaluationEvent:
    """The event of a row."""
    return EvaluationEvent(
        row["id"],
        row["evaluation_id"],
        row["event_type"],
        row["timestamp"],
        row["message"],
        metadata_of(row["metadata"]),
    )


def metric_of(row: Row) -> EvaluationMetric:
    """The metric of a row."""
    return EvaluationMetric(
        row["id"], row["evaluation_id"], row["metric_name"], row["metric_value"], row["unit"], row["timestamp"]
    )


def metadata_of(stored: dict[str, Any]) -> dict[str, Any]:
    """Metadata with the types that it was given with."""
    return {name: _member(value) if type(value) in _NESTED else value for name, value in stored.items()}


def _member(stored: Any) -> Any:
    try:
        return from_json(orjson.dumps(stored))
    except ValueError:
        # Another program has written something that looks like a type of ours.
        return stored


def new_event(id: str, type: str, message: str, now: datetime, metadata: dict[str, Any]) -> Row:
    """A row for a new event. :raises StorageKeyError: if type or message are none."""
    return {
        "id": new_id(),
        "evaluation_id": id,
        "event_type": checked_text("type", type),
        "timestamp": now,
        "message": checked_text("message", message, MAX_MESSAGE, least=0),
        "metadata": metadata,
    }


def new_metric(id: str, name: str, value: float, unit: str | None, now: datetime) -> Row:
    """A row for a new metric. :raises StorageKeyError: names what is wrong."""
    return {
        "id": new_id(),
        "evaluation_id": id,
        "metric_name": checked_text("name", name),
        "metric_value": checked_number(value),
        "unit": None if unit is None else checked_text("unit", unit),
        "timestamp": now,
    }
