"""Evaluations in the old layout of files: three folders with a JSON file for each evaluation.

::

    evaluations/eval-123.json   the fields of the evaluation: code, status, output, error, times and its own ones
    events/eval-123.json        a list of events: type, message, timestamp and their own members
    metadata/eval-123.json      members of its metadata
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from datetime import UTC
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from typing import Final

import orjson

from database.core.result import Row
from storage.core.errors import StorageConfigurationError
from storage.core.errors import StorageError
from storage.core.errors import StorageSerializationError
from storage.core.errors import shown
from stores.evaluations.meaning.checks import MAX_MESSAGE
from stores.evaluations.meaning.checks import checked_body
from stores.evaluations.meaning.checks import checked_id
from stores.evaluations.meaning.checks import checked_text
from stores.evaluations.meaning.checks import stored_metadata
from stores.evaluations.meaning.statuses import QUEUED
from stores.evaluations.meaning.statuses import check_status
from stores.evaluations.outputs import TEXT_TYPE
from stores.migration.evaluations import FIELDS
from stores.migration.evaluations import WholeEvaluation

EVALUATIONS: Final = "evaluations"
EVENTS: Final = "events"
METADATA: Final = "metadata"

_TIMES: Final = ("created_at", "started_at", "completed_at")
_MADE: Final = frozenset(
    {
        *("id", "status", "runtime_ms", "timestamp", "metadata", "code_hash", "code_size"),
        *_TIMES,
        *FIELDS,
    }
)
"""What is a column, or follows from one; all other fields become metadata."""

_SUBMITTED: Final = "submitted"
"""A status of old files that is now ``queued``."""


def old_evaluations(folder: Path, wrong: Callable[[str, str], object]) -> Iterator[WholeEvaluation]:
    """The evaluations of a folder, in the order of their ids.

    :param wrong: called with the id and the reason of each one that cannot be read.
    :raises StorageConfigurationError: if the folder has not this layout.
    """
    if not (folder / EVALUATIONS).is_dir():
        raise StorageConfigurationError(f"there is no folder {folder / EVALUATIONS}; name the folder that it is in")
    for file in sorted((folder / EVALUATIONS).glob("*.json")):
        try:
            yield _read(folder, checked_id(file.stem))
        except (StorageError, OSError, ValueError) as error:
            wrong(file.stem, f"cannot be read from {file}: {error}")
    for kind in (EVENTS, METADATA):
        for file in sorted((folder / kind).glob("*.json")):
            if not (folder / EVALUATIONS / file.name).exists():
                wrong(f"{kind}/{file.stem}", "belongs to no evaluation")


def _read(folder: Path, id: str) -> WholeEvaluation:
    found = _object(folder / EVALUATIONS / f"{id}.json")
    if found.get("id", id) != id:
        raise StorageSerializationError(f"it is the evaluation {shown(found['id'])}")
    created_at = _created(folder, id, found)
    extra = folder / METADATA / f"{id}.json"
    known = _object(extra) if extra.exists() else {}
    bodies = {field: checked_body(field, found[field]) for field in FIELDS if found.get(field) is not None}
    bodies.setdefault("code", b"")
    columns = {
        "created_at": created_at,
        "code_hash": sha256(bodies["code"]).hexdigest(),
        "status": _status(found.get("status")),
        "started_at": _moment(found.get("started_at"), "started_at"),
        "completed_at": _moment(found.get("completed_at"), "completed_at"),
        "runtime_ms": _runtime(found.get("runtime_ms")),
        "metadata": stored_metadata(_own(found) | known),
    }
    columns["updated_at"] = columns["completed_at"] or columns["started_at"] or created_at
    events = _events(folder / EVENTS / f"{id}.json", id, columns)
    return WholeEvaluation(
        id,
        columns,
        {field: (_chunks(body), None if field == "code" else TEXT_TYPE) for field, body in bodies.items()},
        {"events": lambda: events, "metrics": lambda: ()},
    )


def _created(folder: Path, id: str, found: Mapping[str, Any]) -> datetime:
    created_at = _moment(found.get("created_at") or found.get("timestamp"), "created_at")
    if created_at is not None:
        return created_at
    return datetime.fromtimestamp((folder / EVALUATIONS / f"{id}.json").stat().st_mtime, UTC)


def _own(found: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a program of its own."""
    return {name: value for name, value in found.items() if name not in _MADE} | _given_metadata(found)


def _given_metadata(found: Mapping[str, Any]) -> dict[str, Any]:
    given = found.get("metadata") or {}
    if not isinstance(given, dict):
        raise StorageSerializationError(f"metadata must be an object, not {shown(given)}")
    return given


def _status(given: object) -> str:
    return QUEUED if given is None or given == _SUBMITTED else check_status(given)


def _runtime(given: object) -> int | None:
    if given is None:
        return None
    if isinstance(given, int | float) and not isinstance(given, bool) and given >= 0:
        return round(given)
    raise StorageSerializationError(f"runtime_ms must be a number of milliseconds, not {shown(given)}")


def _events(file: Path, id: str, columns: Row) -> list[Row]:
    found = orjson.loads(file.read_bytes()) if file.exists() else []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise StorageSerializationError(f"the events in {file} must be a list of objects")
    # Each evaluation has one.
    first = {"type": "submitted", "message": "Evaluation submitted", "timestamp": columns["created_at"].isoformat()}
    return [_event(number, one, id, columns) for number, one in enumerate(found or [first])]


def _event(number: int, found: Mapping[str, Any], id: str, columns: Row) -> Row:
    """The row of an event. Its id is the same in each run, and before those of later events."""
    own = {"type", "event_type", "message", "timestamp", "metadata"}
    rest = {name: value for name, value in found.items() if name not in own}
    kind = found.get("type") or found.get("event_type") or "event"
    return {
        "id": f"{number:08}-{sha256(orjson.dumps([id, found], option=orjson.OPT_SORT_KEYS)).hexdigest()[:24]}",
        "evaluation_id": id,
        "event_type": checked_text("type", kind),
        "timestamp": _moment(found.get("timestamp"), "timestamp") or columns["created_at"],
        "message": checked_text("message", found.get("message") or "", MAX_MESSAGE, least=0),
        "metadata": stored_metadata(rest | _given_metadata(found)),
    }


def _moment(given: object, field: str) -> datetime | None:
    """A time, which is in UTC without a time zone."""
    if given is None or given == "":
        return None
    try:
        if isinstance(given, str):
            moment = datetime.fromisoformat(given)
            return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
        if isinstance(given, int | float) and not isinstance(given, bool):
            return datetime.fromtimestamp(given, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    raise StorageSerializationError(f"{field} must be a time in ISO 8601, not {shown(given)}")


def _object(file: Path) -> dict[str, Any]:
    found = orjson.loads(file.read_bytes())
    if not isinstance(found, dict):
        raise StorageSerializationError(f"{file} must have a JSON object")
    return found


def _chunks(body: bytes) -> Callable[[], Iterable[bytes]]:
    return lambda: (body,)
