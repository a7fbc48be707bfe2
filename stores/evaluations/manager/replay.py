"""Carrying out a write of the journal: as often as it is done, it has one effect."""

from __future__ import annotations

from typing import Any
from typing import Final

from database.core.result import Row
from storage.core.errors import StorageConflictError
from stores.evaluations.manager.journal import Write
from stores.evaluations.meaning.errors import EvaluationChanged
from stores.evaluations.meaning.errors import exists
from stores.evaluations.meaning.errors import has_ended
from stores.evaluations.meaning.errors import missing
from stores.evaluations.meaning.statuses import ENDED
from stores.evaluations.meaning.statuses import WrongStep
from stores.evaluations.meaning.statuses import is_step
from stores.evaluations.places.records import EvaluationRecords

_ATTEMPTS: Final = 20
_NEAR: Final = 5


def carry_out(records: EvaluationRecords, write: Write) -> None:
    """Carry out a write, unless that was done.

    :raises RequestError: if it cannot be carried out any more, such as a change of an evaluation that has ended.
    """
    if write.action == "insert":
        _insert(records, write)
    elif write.action == "change":
        _change(records, write)
    elif write.action == "remove":
        _remove(records, write)
    elif write.series is not None:
        records.append(write.series, write.row)


def _insert(records: EvaluationRecords, write: Write) -> None:
    assert write.event is not None
    try:
        records.insert(write.row, write.event)
    except StorageConflictError:
        present = records.get(write.id, texts=False)
        if present is None or not _same(present, write.row, ("created_at", "code_hash")):
            raise exists(write.id) from None


def _remove(records: EvaluationRecords, write: Write) -> None:
    present = records.get(write.id, texts=False)
    # A later evaluation may have the same id.
    if present is not None and _same(present, write.row, write.row):
        records.remove(write.id)


def _change(records: EvaluationRecords, write: Write) -> None:
    for attempt in range(_ATTEMPTS):
        row = records.get(write.id, texts=True)
        if row is None:
            raise missing(write.id)
        if _is_done(records, row, write):
            return
        changes = _changes(row, write.row)
        try:
            records.change(row, changes, write.event)
        except EvaluationChanged:
            if attempt + 1 < _ATTEMPTS:
                continue
            raise
        return


def _is_done(records: EvaluationRecords, row: Row, write: Write) -> bool:
    if write.event is not None:
        id_ = write.event["id"]
        near = records.appended("events", write.id, id_[:-1], _NEAR)
        return any(event["id"] == id_ for event in near)
    others = {name: value for name, value in write.row.items() if name != "metadata"}
    return bool(others) and _same(row, others, others) and _merged(row, write.row) == row["metadata"]


def _changes(row: Row, given: Row) -> dict[str, Any]:
    """What a change is for an evaluation as it is by now. :raises StorageConflictError: if it is none any more."""
    if not is_step(row["id"], row["status"], given.get("status")) and "status" in given and row["status"] in ENDED:
        # Somebody else has ended it in the same way.
        raise WrongStep(row["id"], row["status"], given["status"])
    for kind in ("output", "error"):
        if row["status"] in ENDED and f"{kind}_size" in given and row[f"{kind}_size"] is not None:
            raise has_ended(row["id"], row["status"], kind)
    return {**given, "metadata": _merged(row, given)}


def _merged(row: Row, given: Row) -> dict[str, Any]:
    return {**row["metadata"], **given.get("metadata", {})}


def _same(row: Row, other: Row, names: Any) -> bool:
    return all(row[name] == other[name] for name in names)
