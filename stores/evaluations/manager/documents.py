"""Evaluations and events as plain dictionaries of JSON, as ``StorageService`` and the storage manager give them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from typing import Any
from typing import Final

from storage.core.errors import StorageKeyError
from storage.core.errors import shown
from stores.evaluations.meaning.statuses import check_status
from stores.evaluations.meaning.values import Evaluation
from stores.evaluations.meaning.values import EvaluationEvent
from stores.evaluations.meaning.values import EvaluationMetric

_TIMES: Final = ("created_at", "started_at", "completed_at")
BODIES: Final = ("code", "output", "error")
_MADE: Final = (
    *("id", "code_hash", "code_size", "updated_at", "metadata", "etag", "code_s3_key"),
    *("output_size", "output_type", "output_truncated", "output_s3_key"),
    *("error_size", "error_type", "error_truncated", "error_s3_key"),
)
"""What follows from the rest, and is not taken from a caller."""


def document_of(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation; times are text in ISO 8601."""
    known = evaluation.known()
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in known.items()}


def event_document(event: EvaluationEvent) -> dict[str, Any]:
    """An event, with the members of its metadata beside its own."""
    return {
        **event.metadata,
        "id": event.id,
        "type": event.event_type,
        "message": event.message,
        "timestamp": event.timestamp.isoformat(),
    }


def metric_document(metric: EvaluationMetric) -> dict[str, Any]:
    """A metric."""
    return {
        "id": metric.id,
        "name": metric.metric_name,
        "value": metric.metric_value,
        "unit": metric.unit,
        "timestamp": metric.timestamp.isoformat(),
    }


def columns_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that a caller's dictionary has, apart from texts. :raises StorageKeyError: names what is wrong."""
    columns: dict[str, Any] = {name: _time(name, data[name]) for name in _TIMES if data.get(name) is not None}
    if data.get("status") is not None:
        columns["status"] = check_status(data["status"])
    if (runtime := data.get("runtime_ms")) is not None:
        if not isinstance(runtime, int) or isinstance(runtime, bool):
            raise StorageKeyError(f"runtime_ms must be an integer, not {shown(runtime)}")
        columns["runtime_ms"] = runtime
    return columns


def metadata_in(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is no column: members of the metadata."""
    known = {*_MADE, *_TIMES, *BODIES, "status", "runtime_ms"}
    return {**data.get("metadata", {}), **{name: value for name, value in data.items() if name not in known}}


def event_parts(event: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """The type, the message and the metadata of a caller's event."""
    rest = {name: value for name, value in event.items() if name not in {"id", "type", "message", "timestamp"}}
    return event.get("type", ""), event.get("message", ""), rest


def _time(field: str, value: object) -> datetime:
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
        if isinstance(time, datetime):
            return time.replace(tzinfo=time.tzinfo or UTC).astimezone(UTC)
    except ValueError:
        pass
    raise StorageKeyError(f"{field} must be a time in ISO 8601, not {shown(value)}")
