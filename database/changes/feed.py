"""The change feed of a backend, and the operation that reads it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar
from typing import Final
from typing import Literal
from typing import NamedTuple

from database.core.errors import SchemaMismatch
from database.core.immutable import immutable
from database.core.operations import Operation

PAGE: Final = 1_000
"""The changes of one page, unless others are asked for."""

MAX_PAGE: Final = 10_000
"""The most changes that may be asked for."""

ChangeKind = Literal["insert", "update", "delete"]


class Change(NamedTuple):
    """A committed change of one record."""

    table: str
    id: str
    kind: ChangeKind


as_change: Final[Callable[[Sequence[str]], Change]] = partial(tuple.__new__, Change)
"""A change of its table, id and kind; as ``Change._make`` makes it, in a third of the time."""


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of the feed.

    :ivar changes: in commit order.
    :ivar cursor: the start of the next page, an opaque text of the backend.
    :ivar more: whether the next page already has changes.
    :ivar gap: whether changes between the given cursor and this page have been deleted from the feed, so that a
        follower has to compare all records.
    """

    changes: tuple[Change, ...]
    cursor: str
    more: bool = False
    gap: bool = False


@immutable
class ReadChanges(Operation):
    """Read the changes after a cursor. The result's ``value`` is a :class:`Changes`.

    :ivar cursor: that of an earlier page; None for the current end of the feed, without changes.
    :ivar limit: the most changes to return, from 1 to :data:`MAX_PAGE`. A backend may return fewer although there are
        more, but not none.
    """

    kind: ClassVar[str] = "changes"
    reads: ClassVar[bool] = True
    cursor: str | None
    limit: int


def no_log() -> SchemaMismatch:
    """The error of a SQL database without the table of the change feed."""
    return SchemaMismatch("the database lacks the log of changes; run `flask db upgrade`, which creates it")
