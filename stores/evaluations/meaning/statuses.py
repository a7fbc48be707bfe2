"""The statuses of an evaluation, and which may follow which.

::

    queued → running → completed | failed | timeout | cancelled

A queued one may also end without having run. One that has ended stays as it is.
"""

from __future__ import annotations

from typing import Final

from storage.core.errors import StorageConflictError
from storage.core.errors import StorageKeyError
from storage.core.errors import shown

QUEUED: Final = "queued"
RUNNING: Final = "running"
COMPLETED: Final = "completed"
CANCELLED: Final = "cancelled"
ENDED: Final = frozenset({COMPLETED, "failed", "timeout", CANCELLED})
STATUSES: Final = (QUEUED, RUNNING, COMPLETED, "failed", "timeout", CANCELLED)

_NEXT: Final = {QUEUED: ENDED | {RUNNING}, RUNNING: ENDED}


class WrongStep(StorageConflictError):
    """An evaluation cannot get a status after the one that it has.

    :ivar before: the status that it has.
    :ivar after: the one that it cannot get.
    """

    def __init__(self, id: str, before: str, after: str) -> None:
        steps = ", ".join(status for status in STATUSES if status in _NEXT.get(before, ()))
        may = f"it can become {steps}" if steps else "it has ended, and stays as it is"
        super().__init__(f"the evaluation {shown(id)} is {before} and cannot become {after}: {may}")
        self.before = before
        self.after = after


def check_status(status: object) -> str:
    """``status``, if it is one. :raises StorageKeyError: names those that there are."""
    if isinstance(status, str) and status in STATUSES:
        return status
    raise StorageKeyError(f"status must be one of {', '.join(STATUSES)}, not {shown(status)}")


def is_step(id: str, before: str, after: str | None) -> bool:
    """Whether ``after`` changes the status; None and the same one do not. :raises WrongStep: if it must not follow."""
    if after is None or check_status(after) == before:
        return False
    if after not in _NEXT.get(before, ()):
        raise WrongStep(id, before, after)
    return True
