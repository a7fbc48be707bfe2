"""What a backend tells of its commits, and how it is asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar
from typing import Literal

from database.core.errors import SchemaMismatch
from database.core.immutable import immutable
from database.core.operations import Operation

MAX_PAGE = 1_000
"""The most changes that are asked for at a time."""

ChangeKind = Literal["insert", "update", "delete"]


@dataclass(frozen=True, slots=True)
class Change:
    """What a commit did to one record."""

    table: str
    id: str
    kind: ChangeKind


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of the feed.

    :ivar changes: in the order of their commits.
    :ivar cursor: where the next page begins; of the backend's own form, and to be kept as it is.
    :ivar more: whether the next page has changes already.
    :ivar gap: whether changes between the cursor that was given and this page are no longer known, so that a
        follower has to compare everything.
    """

    changes: tuple[Change, ...]
    cursor: str
    more: bool = False
    gap: bool = False


@immutable
class ReadChanges(Operation):
    """Ask for the changes behind a cursor. The result's ``value`` is a :class:`Changes`.

    :ivar cursor: of an earlier page; None for the present end of the feed, without any changes.
    :ivar limit: the most changes to return, from 1 to :data:`MAX_PAGE`.
    """

    kind: ClassVar[str] = "changes"
    reads: ClassVar[bool] = True
    cursor: str | None
    limit: int


def no_log() -> SchemaMismatch:
    """The error of a SQL database whose changes are not logged."""
    return SchemaMismatch("the database lacks the log of changes; `flask db upgrade` makes it")
