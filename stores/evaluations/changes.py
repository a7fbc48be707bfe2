"""What an update makes of an evaluation."""

from __future__ import annotations

from collections.abc import Collection
from collections.abc import Mapping
from datetime import datetime
from datetime import timedelta
from typing import Any
from typing import Final

from database.core.clock import not_before
from database.core.result import Row
from stores.evaluations.meaning.checks import check_metadata_size
from stores.evaluations.meaning.errors import has_ended
from stores.evaluations.meaning.rows import new_event
from stores.evaluations.meaning.statuses import ENDED
from stores.evaluations.meaning.statuses import RUNNING
from stores.evaluations.meaning.statuses import is_step

_MILLISECOND: Final = timedelta(milliseconds=1)


def changes_of(
    row: Row, status: str | None, bodies: Collection[str], metadata: Mapping[str, Any], now: datetime
) -> tuple[dict[str, Any], Row | None]:
    """The new values of columns, and the event of a new status.

    :param row: the evaluation as it is.
    :param bodies: which outputs are given.
    :param metadata: as it is stored.
    :raises StorageConflictError: if the evaluation must not be changed so.
    """
    id_, before = row["id"], row["status"]
    steps = is_step(id_, before, status)
    if before in ENDED and (kind := next((one for one in bodies if row[f"{one}_size"] is not None), None)):
        raise has_ended(id_, before, kind)
    changes: dict[str, Any] = {}
    if metadata:
        changes["metadata"] = {**row["metadata"], **metadata}
        check_metadata_size(changes["metadata"])
    if not steps or status is None:
        return changes, None
    time = not_before(now, row["updated_at"])
    about = {"old_status": before, "new_status": status}
    event = new_event(id_, "status_changed", f"Status changed from {before} to {status}", time, about)
    return changes | {"status": status} | _times(row, status, time), event


def _times(row: Row, status: str, now: datetime) -> dict[str, Any]:
    if status == RUNNING:
        return {"started_at": now}
    started_at = row["started_at"]
    runtime = None if started_at is None else max((now - started_at) // _MILLISECOND, 0)
    return {"completed_at": now, "runtime_ms": runtime}
